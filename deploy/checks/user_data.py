"""Writes the files that user data writes on a machine: user_data.py FILE FOLDER. Checks the configuration among them."""

import sys
import tomllib
from pathlib import Path

import yaml

text, folder = Path(sys.argv[1]).read_text(), Path(sys.argv[2])
if not text.startswith("#cloud-config\n"):
    sys.exit("the user data does not begin with #cloud-config")
files = yaml.safe_load(text)["write_files"]
for file in files:
    path = folder / file["path"].lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(file["content"])
tomllib.loads((folder / "etc/sysmon/config.toml").read_text())
print(f"{len(files)} files")
