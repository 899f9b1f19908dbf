"""A certificate by ACME from a real authority: PROGRAMS=target/debug PEBBLE=/usr/bin/pebble acme.py

Pebble is Let's Encrypt's test server (Debian: pebble). The edge obtains a certificate from it by TLS-ALPN-01 on the page's port,
stores it for its owner only, and after a restart serves it at once without the authority. Needs openssl too.
"""

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from place import Place, free_port, until

# Pebble neither rejects good nonces at random, which makes the edge wait, nor sleeps before validation.
QUICK = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
NAMES = ["status.example.test", "page.example.test"]


def certificate_for(folder):
    """A certificate authority and its certificate for 127.0.0.1, which Pebble's API presents."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "9")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (Path(folder) / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "server.pem", "-days", "9", "-extfile", "names")


class Authority:
    """Pebble with its name server, which resolves every name to this machine."""

    def __init__(self, folder, tls_port):
        self.folder, self.port = folder, free_port(socket.SOCK_STREAM)
        certificate_for(folder)
        names, manage = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        config = {"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{manage}",
            "certificate": "server.pem", "privateKey": "server.key", "httpPort": 5002, "tlsPort": tls_port,
            "ocspResponderURL": "", "externalAccountBindingRequired": False,
        }}
        (Path(folder) / "pebble.json").write_text(json.dumps(config))
        pebble, log = Path(os.environ["PEBBLE"]), open(Path(folder) / "pebble.log", "wb")
        serve_names = ["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", f"127.0.0.1:{names}", "-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"]
        options = {"cwd": folder, "stdout": log, "stderr": log}
        self.running = [
            subprocess.Popen([pebble.with_name("pebble-challtestsrv"), *serve_names], **options),
            subprocess.Popen([pebble, "-config", "pebble.json", "-dnsserver", f"127.0.0.1:{names}"], env=os.environ | QUICK, **options),
        ]
        until("Pebble listens", lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True)

    def stop(self):
        for process in self.running:
            process.terminate()
            process.wait(10)


def presented(port, name):
    """Status line of a response, and the names, issuer and serial number of the page's certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw, context.wrap_socket(raw, server_hostname=name) as page:
        der = page.getpeercert(binary_form=True)
        page.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        response = page.recv(4096)
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-issuer", "-serial", "-ext", "subjectAltName"], input=der, capture_output=True, check=True)
    return response[:15], text.stdout.decode()


def is_closed(port):
    try:
        presented(port, NAMES[0])
    except (ssl.SSLError, OSError):
        return True
    return False


place = Place()
page = free_port(socket.SOCK_STREAM)
cache = Path(place.folder.name) / "cloud" / "acme"
with tempfile.TemporaryDirectory() as folder:
    authority = Authority(folder, page)

    keys = {
        "SYSMON_EDGE__ACME": json.dumps(NAMES),
        "SYSMON_EDGE__ACME_CONTACT": "admin@example.org",
        "SYSMON_EDGE__ACME_DIRECTORY": f"https://localhost:{authority.port}/dir",
        "SYSMON_EDGE__ACME_ROOTS": str(Path(folder) / "ca.pem"),
    }

    def start_edge():
        place.start("cloud", "edge", "--listen", f"127.0.0.1:{place.edge_port}", "--web", f"127.0.0.1:{page}")

    usual = place.environment()
    place.environment = lambda: usual | keys
    log = Path(place.folder.name) / "cloud.log"
    try:
        began = time.monotonic()
        start_edge()
        until("the edge listens", lambda: b"edge started" in log.read_bytes())
        assert is_closed(page), "there is no certificate yet"
        response, text = until("the page has a certificate", lambda: None if is_closed(page) else presented(page, NAMES[0]))
        print(f"ok   a certificate after {time.monotonic() - began:.1f} s: {text.strip()}", flush=True)
        assert response == b"HTTP/1.1 200 OK" and "Pebble" in text and all(f"DNS:{name}" in text for name in NAMES), (response, text)
        files = until("account and certificate are stored", lambda: sorted(cache.iterdir()) if len(list(cache.iterdir())) == 2 else None)
        modes = [stat.S_IMODE(one.stat().st_mode) for one in [cache, *files]]
        assert modes == [0o700, 0o600, 0o600], modes
        print("ok   stored for the owner only:", *[one.name for one in files], flush=True)
        place.stop("cloud")
        authority.stop()
        start_edge()
        again = until("the page is available again", lambda: None if is_closed(page) else presented(page, NAMES[1]))
        assert again[1] == text, "the same certificate, without the authority"
        print("ok   after a restart without the authority the same certificate is served", flush=True)
    except BaseException:
        print(log.read_text(), (Path(folder) / "pebble.log").read_text()[-3000:], file=sys.stderr)
        raise
    finally:
        authority.stop()
        for name in list(place.running):
            place.stop(name)
print("everything passed")
