"""Chromium through its debugging pipe: DevTools protocol messages, each followed by a zero byte. Needs nothing but Python."""

import json
import os
import select
import subprocess
import tempfile
import time


class Browser:
    def __init__(self, program, cores=None):
        self.folder = tempfile.TemporaryDirectory()
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.reads, self.writes, self.received, self.number, self.events = ours_in, ours_out, b"", 0, []

        def pipes():
            # Chromium reads from descriptor 3 and writes to 4. Copy first: either may already be one of the two.
            first, second = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(first, 3)
            os.dup2(second, 4)
            if cores:
                os.sched_setaffinity(0, cores)

        command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", f"--user-data-dir={self.folder.name}", "--remote-debugging-pipe", "about:blank"]
        self.process = subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)

    def _next(self, timeout_s):
        end = time.monotonic() + timeout_s
        while b"\0" not in self.received:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.reads], [], [], left)[0]:
                raise TimeoutError("no message from the browser")
            data = os.read(self.reads, 1 << 16)
            if not data:
                raise EOFError("the browser has exited")
            self.received += data
        message, self.received = self.received.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._next(60)
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise RuntimeError(reply["error"])
                return reply["result"]
            self.events.append(reply)

    def listen(self, seconds):
        """Collects events for this time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self.events.append(self._next(left))
            except TimeoutError:
                return

    def visit(self, url, settle=1.5):
        """Opens a page with an empty cache; returns its times in milliseconds since the request, and the bytes transferred."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            self.call(domain + ".enable", session)
        self.call("Page.addScriptToEvaluateOnNewDocument", session, source=WATCH)
        self.events.clear()
        self.call("Page.navigate", session, url=url)
        self.listen(settle)
        evaluated = self.call("Runtime.evaluate", session, expression=TIMES, returnByValue=True)
        times = json.loads(evaluated["result"]["value"])
        loaded = [event["params"]["encodedDataLength"] for event in self.events if event.get("method") == "Network.loadingFinished"]
        self.call("Target.disposeBrowserContext", browserContextId=context)
        return times | {"bytes": sum(loaded), "requests": len(loaded)}

    def close(self):
        try:
            self.call("Browser.close")
        except (OSError, EOFError, TimeoutError, RuntimeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


# Records when the first value and the first chart are in the page, and when the first live update has arrived.
WATCH = """
window.times = {};
const check = () => {
  const cell = document.querySelector("[data-metric] span");
  if (cell && cell.textContent.trim() && times.value === undefined) times.value = performance.now();
  if (document.querySelector("#charts canvas") && times.chart === undefined) times.chart = performance.now();
};
new MutationObserver(check).observe(document, { childList: true, subtree: true });
const Socket = window.WebSocket;
window.WebSocket = class extends Socket {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", () => { if (times.live === undefined) times.live = performance.now(); });
  }
};
"""
TIMES = """JSON.stringify({
  ...window.times,
  ready: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
  paint: (performance.getEntriesByName("first-contentful-paint")[0] || {}).startTime,
})"""
