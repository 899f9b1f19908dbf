"""An outage of the hub, with real programs: PROGRAMS=target/debug outage.py [SECONDS] (default 600).

The hub is stopped for that time while agents and edge run. The page has to stay available and to say how old its data is; after the
hub's restart the edge's series may have no gap. Needs nothing but the programs.
"""

import sys
import time
import urllib.error
import urllib.request

from place import Place, until

OUTAGE_S = float(sys.argv[1]) if len(sys.argv) > 1 else 600
HISTORY_S = 45
CHECK_INTERVAL_S = 5
STEP_MS = 10_000


def fetch(place, path):
    try:
        with urllib.request.urlopen(place.web + path, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def check_during_outage(place, start):
    """Checks page and API until the outage ends; returns the number of checks and what the page said."""
    until("the edge notices", lambda: not place.fleet()["live"])
    print(f"the edge noticed after {time.time() - start:.0f} s", flush=True)
    as_of, checks = place.fleet()["as_of_ms"], 0
    words = time.strftime("as of %H:%M:%S UTC", time.gmtime(as_of / 1000))
    while time.time() < start + OUTAGE_S:
        for path in ("/", "/hosts/Shop"):
            status, page = fetch(place, path)
            assert status == 200 and words in page and "Hub disconnected" in page, (path, status, words)
        fleet = place.fleet()
        assert not fleet["live"] and fleet["as_of_ms"] == as_of and [one["name"] for one in fleet["hosts"]] == ["Shop", "db"], fleet
        assert [fetch(place, path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
        points = series(place, "Shop", "cpu", int(start * 1000) - HISTORY_S * 1000, int(start * 1000) - STEP_MS)
        assert all(value is not None for _, value in points), points
        checks += 1
        time.sleep(CHECK_INTERVAL_S)
    return checks, words


def series(place, host, metric, start, end):
    return place.get(f"/api/v1/hosts/{host}/series?metric={metric}&from={start}&to={end}&step={STEP_MS}")["points"]


def gaps(place, start, end):
    """Unknown steps of every metric of both hosts, and the number of all steps."""
    found, total = {}, 0
    for host in ("Shop", "db"):
        for metric in place.fleet()["metrics"]:
            points = series(place, host, metric, start, end)
            total += len(points)
            missing = [at for at, value in points if value is None]
            if missing:
                found[host, metric] = len(missing)
    return found, total


with Place() as place:
    # The first live step is incomplete, and rates need two rows.
    time.sleep(HISTORY_S + 15)
    start = time.time()
    place.stop("hub")
    print(f"the hub is stopped for {OUTAGE_S:.0f} s", flush=True)
    checks, words = check_during_outage(place, start)
    print(f"{checks} checks: the page was available, said {words!r}, and its series were complete", flush=True)
    place.start_hub()
    restarted = time.time()
    span = int(start * 1000) - HISTORY_S * 1000, int(restarted * 1000)
    assert gaps(place, *span)[0], "there is no gap to fill"
    until("the hub is connected", lambda: place.fleet()["live"])
    print(f"the hub is connected {time.time() - restarted:.1f} s after its start", flush=True)
    until("no step is missing", lambda: not gaps(place, *span)[0])
    print(f"{gaps(place, *span)[1]} steps of all metrics, none missing, {time.time() - restarted:.1f} s after the hub's start", flush=True)
    until("the notice is hidden", lambda: 'role="alert" hidden' in fetch(place, "/")[1])
print("everything passed")
