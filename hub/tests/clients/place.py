"""A hub that receives OTLP and exports, with the programs in PROGRAMS."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

TIMEOUT_S = 40


def until(what, is_true, seconds=TIMEOUT_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := is_true():
            return found
        time.sleep(0.1)
    raise AssertionError(f"timed out waiting until {what}")


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


class Place:
    def __init__(self, **settings):
        self.settings = settings
        self.programs = Path(os.environ["PROGRAMS"])
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.port = free_port(socket.SOCK_DGRAM)
        self.grpc, self.http = (free_port(socket.SOCK_STREAM) for _ in range(2))
        self.running = {}

    def environment(self):
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SYSMON_")}
        return inherited | {
            "HOME": self.folder.name,
            "SYSMON_HUB__OTLP": f"127.0.0.1:{self.grpc}",
            "SYSMON_HUB__OTLP_HTTP": f"127.0.0.1:{self.http}",
            "SYSMON_HUB__STALE_AFTER": "2s",
            "SYSMON_HUB__OFFLINE_AFTER": "4s",
        } | self.settings

    def command(self, program, *arguments):
        command = [self.programs / f"sysmon-{program}", *arguments]
        done = subprocess.run(command, cwd=self.folder.name, env=self.environment(), capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def issue(self, role, name, *scope):
        self.command("hub", "--state", "hub", "cert", "issue", "--role", role, "--name", name, "--out", name, *scope)
        return self.papers(name)

    def papers(self, name):
        return {file: (self.path / name / f"{file}.pem").read_bytes() for file in ("ca", "cert", "key")}

    def start(self, name, program, *arguments):
        log = open(self.path / f"{name}.log", "ab")
        command = [self.programs / f"sysmon-{program}", "--state", name, *arguments]
        self.running[name] = subprocess.Popen(command, cwd=self.folder.name, env=self.environment(), stdout=log, stderr=log)

    def start_hub(self):
        self.start("hub", "hub", "--listen", f"127.0.0.1:{self.port}")
        until("the hub receives OTLP", lambda: self.is_open(self.grpc) and self.is_open(self.http))

    def is_open(self, port):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            return False

    def kill_hub(self):
        process = self.running.pop("hub")
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT_S)

    def log(self):
        return (self.path / "hub.log").read_text()

    def hosts(self):
        status = json.loads(self.command("hub", "--state", "hub", "status", "--json"))
        return {host["name"]: host for host in status["hosts"]}

    def query(self, metric, host, *more):
        """Values of each series of a metric, with its attributes."""
        points = self.points(metric, host, *more)
        return [(attributes, [value for _, value in one]) for attributes, one in points]

    def points(self, metric, host, *more):
        """Times and values of each series of a metric, with its attributes."""
        text = self.command("tui", "--hub", f"127.0.0.1:{self.port}", "--state", "operator", "query", metric, "--host", host, "--since", "10m", "--step", "1s", "--format", "json", *more)
        series = json.loads(text)["series"]
        return [(one["attributes"], [point for point in one["points"] if point[1] is not None]) for one in series]

    def __enter__(self):
        self.issue("operator", "operator")
        self.start_hub()
        return self

    def __exit__(self, kind, *_):
        for process in self.running.values():
            process.terminate()
            process.wait(TIMEOUT_S)
        if kind:
            print(self.log()[-4000:])
        self.folder.cleanup()
