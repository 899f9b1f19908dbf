"""Splits rendered manifests for the tools that check them, and checks what the tools do not know.

manifests.py FILE FOLDER writes FOLDER/built-in.yaml (kinds of Kubernetes itself), restricted.yaml and agents.yaml (by namespace).
"""

import sys
from pathlib import Path

import yaml

OWN = {"ServiceMonitor"}
file, folder = Path(sys.argv[1]), Path(sys.argv[2])
documents = [document for document in yaml.safe_load_all(file.read_text()) if document]


def write(name, chosen):
    (folder / name).write_text(yaml.safe_dump_all(chosen, sort_keys=False))


write("built-in.yaml", [document for document in documents if document["kind"] not in OWN])
agents = [document for document in documents if "sysmon-agents" in (document["metadata"].get("namespace"), document["metadata"]["name"])]
write("agents.yaml", agents)
write("restricted.yaml", [document for document in documents if document not in agents])

problems = []
pods = {}
for document in documents:
    name = f"{document['kind']} {document['metadata']['name']}"
    if "template" in document.get("spec", {}):
        pods[name] = document["spec"]["template"]
    if document["kind"] != "Namespace" and "namespace" not in document["metadata"]:
        problems.append(f"{name} has no namespace")

# A selector that matches nothing is valid, and does nothing.
for document in documents:
    name, spec = f"{document['kind']} {document['metadata']['name']}", document.get("spec", {})
    selector = spec.get("selector") if document["kind"] == "Service" else None
    if document["kind"] == "NetworkPolicy":
        selector = spec["podSelector"].get("matchLabels")
    if selector:
        matching = [pod for pod in pods.values() if selector.items() <= pod["metadata"]["labels"].items()]
        if not matching:
            problems.append(f"{name} selects no pod: {selector}")
        for port in spec.get("ports", []) if document["kind"] == "Service" else []:
            named = [p for pod in matching for c in pod["spec"]["containers"] for p in c["ports"] if p["name"] == port["targetPort"]]
            if [p["protocol"] for p in named] != [port["protocol"]]:
                problems.append(f"{name}: port {port['name']} leads to {named or 'nothing'}")
    if document["kind"] == "ServiceMonitor":
        wanted = spec["selector"]["matchLabels"].items()
        if not any(d["kind"] == "Service" and wanted <= d["metadata"].get("labels", {}).items() for d in documents):
            problems.append(f"{name} selects no service")

# A token may be in a file of a Secret, and nowhere else.
if "sysmon1." in file.read_text():
    problems.append("a join token stands in the manifests")
if problems:
    sys.exit("\n".join(problems))
print(f"{len(documents)} objects")
