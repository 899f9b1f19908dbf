"""A browser by its debugging pipe, with nothing but Python: Chromium's own protocol, a message and a zero byte at a time."""

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
        self.reads, self.writes, self.came, self.number, self.events = ours_in, ours_out, b"", 0, []

        def pipes():
            # Chromium reads from 3 and writes to 4; copies first, or one of them may be the other.
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

    def _next(self, patience):
        end = time.monotonic() + patience
        while b"\0" not in self.came:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.reads], [], [], left)[0]:
                raise TimeoutError("the browser says nothing")
            came = os.read(self.reads, 1 << 16)
            if not came:
                raise EOFError("the browser is gone")
            self.came += came
        message, self.came = self.came.split(b"\0", 1)
        return json.loads(message)

    def ask(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        os.write(self.writes, json.dumps(message).encode() + b"\0")
        while True:
            came = self._next(60)
            if came.get("id") == self.number:
                if "error" in came:
                    raise RuntimeError(came["error"])
                return came["result"]
            self.events.append(came)

    def listen(self, seconds):
        """Takes events for so long."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                self.events.append(self._next(left))
            except TimeoutError:
                return

    def visit(self, url, settle=1.5):
        """Opens a page as one who has never been there; its times in milliseconds since it was asked for, and bytes over the wire."""
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Network", "Page", "Runtime"):
            self.ask(domain + ".enable", session)
        self.ask("Page.addScriptToEvaluateOnNewDocument", session, source=WATCH)
        self.events.clear()
        self.ask("Page.navigate", session, url=url)
        self.listen(settle)
        asked = self.ask("Runtime.evaluate", session, expression=TIMES, returnByValue=True)
        times = json.loads(asked["result"]["value"])
        loaded = [event["params"]["encodedDataLength"] for event in self.events if event.get("method") == "Network.loadingFinished"]
        self.ask("Target.disposeBrowserContext", browserContextId=context)
        return times | {"bytes": sum(loaded), "requests": len(loaded)}

    def close(self):
        try:
            self.ask("Browser.close")
        except (OSError, EOFError, TimeoutError, RuntimeError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


# Notes when the first value stands in the page, when the first chart does, and when the first live update has come.
WATCH = """
window.times = {};
const look = () => {
  const cell = document.querySelector("[data-metric] span");
  if (cell && cell.textContent.trim() && times.value === undefined) times.value = performance.now();
  if (document.querySelector("#charts canvas") && times.chart === undefined) times.chart = performance.now();
};
new MutationObserver(look).observe(document, { childList: true, subtree: true });
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
