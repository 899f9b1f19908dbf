"""Lets sysmon-hub read every setting that files below deploy/ make: settings.py PROGRAMS FOLDER, with what else was rendered in FOLDER.

`sysmon-hub check` refuses unknown keys and wrong values of all programs' sections, so a setting that was renamed is found here.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

programs, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
deploy = Path(__file__).resolve().parent.parent
checked = 0


def check(what, environment=None, config=None):
    global checked
    command = [programs / "sysmon-hub", "check", "--state", folder / "no-hub"]
    if config:
        command += ["--config", config]
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
    done = subprocess.run(command, env=clean, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{what}: {done.stderr.strip()}")
    checked += 1


def settings(environment):
    return {key: str(value) for key, value in environment.items() if key.startswith("SYSMON_") and "__" in key}


# Compose, with every destination of .env.example.
secrets = folder / "secrets"
secrets.mkdir()
example = (deploy / "compose" / ".env.example").read_text()
export = re.search(r"^#?SYSMON_EXPORT='(.*)'$", example, re.MULTILINE)[1].replace("/run/secrets", str(secrets))
for name in re.findall(rf"file:{re.escape(str(secrets))}/([\w-]+)", export):
    (secrets / name).write_text("secret\n")
check("SYSMON_EXPORT in .env.example", {"SYSMON_HUB__EXPORT": export})

# Kubernetes.
manifests = folder / "built-in.yaml"
if manifests.exists():
    for document in yaml.safe_load_all(manifests.read_text()):
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("containers", []):
            environment = {item["name"]: item.get("value", "x") for item in container["env"]}
            # The Secret that stands there in the cluster.
            credentials = folder / "credentials"
            credentials.mkdir(exist_ok=True)
            (credentials / "metrics-token").write_text("0123456789abcdef0123456789abcdef\n")
            (credentials / "metrics-token").chmod(0o440)
            check(f"{document['kind']} {document['metadata']['name']}", {**settings(environment), "CREDENTIALS_DIRECTORY": str(credentials)})

# Terraform.
config = folder / "machine/etc/sysmon/config.toml"
if config.exists():
    check("the module cloud-init", config=config)

# Ansible: the template as Ansible renders it.
variables = {
    "sysmon_programs": ["agent", "hub"],
    "sysmon_hub_address": "lan-box.example.org:7979",
    "sysmon_agent_settings": {"tags": ["web", "rack-7"], "interval": "1s"},
    "sysmon_hub_settings": {"memory": "512MiB", "share": ["web-*=Shop"], "edges": ["edge.example.org:7979"]},
}
(folder / "variables.yaml").write_text(yaml.safe_dump(variables))
template = deploy / "ansible/roles/sysmon/templates/config.toml.j2"
rendered = folder / "ansible.toml"
ansible = ["ansible", "localhost", "-c", "local", "-m", "ansible.builtin.template", "-e", f"@{folder}/variables.yaml"]
ansible += ["-e", "ansible_python_interpreter={{ ansible_playbook_python }}", "-a", f"src={template} dest={rendered}"]
done = subprocess.run(ansible, capture_output=True, text=True)
if done.returncode != 0:
    sys.exit(f"the template of Ansible: {done.stdout}{done.stderr}")
check("the template of Ansible", config=rendered)
print(f"{checked} configurations are valid")
