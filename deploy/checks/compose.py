"""Checks what the schema of compose files cannot: that names, files, variables and profiles fit together."""

import re
import sys
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "compose"
problems = []
texts = {path.name: path.read_text() for path in sorted(FOLDER.glob("compose*.yaml"))}
files = {name: yaml.safe_load(text) for name, text in texts.items()}
merged = {kind: {} for kind in ["services", "volumes", "secrets"]}
for file in files.values():
    for kind, all_of_kind in merged.items():
        for name, item in (file.get(kind) or {}).items():
            all_of_kind[name] = {**(all_of_kind.get(name) or {}), **(item or {})}

for name, service in merged["services"].items():
    for secret in service.get("secrets", []):
        if secret not in merged["secrets"]:
            problems.append(f"{name}: unknown secret {secret}")
    for other in service.get("depends_on", {}):
        if other not in merged["services"]:
            problems.append(f"{name}: depends on {other}, which there is not")
    for volume in service.get("volumes", []):
        source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
        if source.startswith("."):
            if not (FOLDER / source).exists():
                problems.append(f"{name}: {source} does not exist")
        elif not source.startswith("/") and source not in merged["volumes"]:
            problems.append(f"{name}: unknown volume {source}")
    if "restart" not in service:
        problems.append(f"{name}: no restart policy")
    if "memory" not in str(service.get("deploy", {}).get("resources", {}).get("limits")):
        problems.append(f"{name}: no limit of memory")
    if ":latest" in service["image"] or ":" not in service["image"]:
        problems.append(f"{name}: an image without a version")

# What Grafana's provisioning asks for.
grafana = merged["services"]["grafana"]
provisioning = "".join(path.read_text() for path in (FOLDER.parent / "grafana/provisioning").rglob("*.yaml"))
for name in set(re.findall(r"\$\{(\w+)\}", provisioning)) - set(grafana["environment"]):
    problems.append(f"grafana: {name} is not set")
for name in set(re.findall(r"\$__file\{/run/secrets/([\w-]+)\}", provisioning)) - set(grafana["secrets"]):
    problems.append(f"grafana: the secret {name} is not mounted")

example = (FOLDER / ".env.example").read_text()
documented = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
used = {name for text in texts.values() for name in re.findall(r"(?<!\$)\$\{(\w+)", text)} - {"SYSMON_COLLECTOR"}
if used - documented:
    problems.append(f".env.example lacks {sorted(used - documented)}")
profiles = {profile for service in merged["services"].values() for profile in service.get("profiles", [])}
listed = set(re.search(r"^#?COMPOSE_PROFILES=(.*)$", example, re.MULTILINE)[1].split(","))
if profiles != listed:
    problems.append(f"profiles are {sorted(profiles)}, but .env.example lists {sorted(listed)}")
created = set(re.search(r"for name in ([^;]*);", (FOLDER / "secrets").read_text())[1].split())
if created != set(merged["secrets"]):
    problems.append(f"./secrets creates {sorted(created)}, but the files need {sorted(merged['secrets'])}")
if problems:
    sys.exit("\n".join(problems))
print(f"{len(merged['services'])} services, {len(profiles)} profiles, {len(used)} variables")
