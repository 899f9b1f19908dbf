"""A hub, an edge and two agents in a temporary directory; they end with the program."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

TIMEOUT_S = 60


def until(what, check):
    """Waits until `check` returns something true, and returns it."""
    end = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end:
        try:
            result = check()
        except OSError:
            result = None
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"timed out waiting until {what}")


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Place:
    def __init__(self):
        self.programs = Path(os.environ["PROGRAMS"])
        self.folder = tempfile.TemporaryDirectory()
        self.hub_port, self.edge_port = (free_port(socket.SOCK_DGRAM) for _ in range(2))
        self.web = f"http://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
        self.running = {}
        self.issue("edge", "cloud")
        self.issue("agent", "web")
        self.issue("agent", "db")

    def environment(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SYSMON_")}
        return inherited | {
            "HOME": self.folder.name,
            "SYSMON_HUB__EDGES": json.dumps([f"127.0.0.1:{self.edge_port}"]),
            "SYSMON_HUB__SHARE": '["web=Shop", "db"]',
            "SYSMON_HUB__STALE_AFTER": "2s",
            "SYSMON_HUB__OFFLINE_AFTER": "4s",
            "SYSMON_HUB__ALERTS": '["silent: silent for 5s critical"]',
            "SYSMON_EDGE__TITLE": "Two shops",
        }

    def issue(self, role, name):
        command = ["--state", "hub", "cert", "issue", "--role", role, "--name", name, "--out", name]
        subprocess.run([self.programs / "sysmon-hub", *command], cwd=self.folder.name, env=self.environment(), check=True, capture_output=True)

    def start(self, name, program, *arguments):
        log = open(Path(self.folder.name) / f"{name}.log", "ab")
        command = [self.programs / f"sysmon-{program}", "--state", name, *arguments]
        self.running[name] = subprocess.Popen(command, cwd=self.folder.name, env=self.environment(), stdout=log, stderr=log)

    def start_hub(self):
        self.start("hub", "hub", "--listen", f"127.0.0.1:{self.hub_port}")

    def start_edge(self):
        self.start("cloud", "edge", "--listen", f"127.0.0.1:{self.edge_port}", "--web", self.web.removeprefix("http://"))

    def start_agent(self, name):
        self.start(name, "agent", "--hub", f"127.0.0.1:{self.hub_port}")

    def stop(self, name):
        process = self.running.pop(name)
        process.terminate()
        process.wait(TIMEOUT_S)

    def __enter__(self):
        try:
            self.start_hub()
            self.start_edge()
            self.start_agent("web")
            self.start_agent("db")
            until("both hosts are live", lambda: [one["state"] for one in self.fleet()["hosts"]] == ["live", "live"])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in list(self.running):
            self.stop(name)
        self.folder.cleanup()

    def get(self, path):
        with urllib.request.urlopen(self.web + path, timeout=10) as response:
            return json.load(response)

    def fleet(self):
        return self.get("/api/v1/fleet")
