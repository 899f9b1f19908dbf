"""Time without the hub, with real programs: PROGRAMS=target/debug outage.py [SECONDS] (ten minutes if not said).

The hub is stopped for so long; agents and edge go on. The page has to be there all the time and to say as of when it is; when the hub
is back, the edge's series may have no hole. Needs nothing but the programs.
"""

import sys
import time
import urllib.error
import urllib.request

from place import Place, until

AWAY = float(sys.argv[1]) if len(sys.argv) > 1 else 600
BEFORE = 45
LOOK_EVERY = 5
STEP_MS = 10_000


def ask(place, path):
    try:
        with urllib.request.urlopen(place.web + path, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def away(place, start):
    """How often the page was looked at while the hub was away, and found as it should be."""
    until("the edge notices", lambda: not place.fleet()["live"])
    print(f"the edge noticed after {time.time() - start:.0f} s", flush=True)
    as_of, looks = place.fleet()["as_of_ms"], 0
    words = time.strftime("As of %H:%M:%S UTC", time.gmtime(as_of / 1000))
    while time.time() < start + AWAY:
        for path in ("/", "/hosts/Shop"):
            status, page = ask(place, path)
            assert status == 200 and words in page and "hub is away" in page, (path, status, words)
        fleet = place.fleet()
        assert not fleet["live"] and fleet["as_of_ms"] == as_of and [one["name"] for one in fleet["hosts"]] == ["Shop", "db"], fleet
        assert [ask(place, path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
        points = series(place, "Shop", "cpu", int(start * 1000) - BEFORE * 1000, int(start * 1000) - STEP_MS)
        assert all(value is not None for _, value in points), points
        looks += 1
        time.sleep(LOOK_EVERY)
    return looks, words


def series(place, host, metric, start, end):
    return place.get(f"/api/v1/hosts/{host}/series?metric={metric}&from={start}&to={end}&step={STEP_MS}")["points"]


def holes(place, start, end):
    """Steps of which nothing is known, of every metric of both hosts."""
    found, seen = {}, 0
    for host in ("Shop", "db"):
        for metric in place.fleet()["metrics"]:
            points = series(place, host, metric, start, end)
            seen += len(points)
            missing = [at for at, value in points if value is None]
            if missing:
                found[host, metric] = len(missing)
    return found, seen


with Place() as place:
    # A value of the present is half of a step at first, and rates need two rows.
    time.sleep(BEFORE + 15)
    start = time.time()
    place.stop("hub")
    print(f"the hub is stopped for {AWAY:.0f} s", flush=True)
    looks, words = away(place, start)
    print(f"looked {looks} times: the page was there, said {words!r}, and kept its series", flush=True)
    place.start_hub()
    back = time.time()
    span = int(start * 1000) - BEFORE * 1000, int(back * 1000)
    assert holes(place, *span)[0], "the gap is not there before it is filled"
    until("the edge hears its hub", lambda: place.fleet()["live"])
    print(f"the edge hears its hub {time.time() - back:.1f} s after its start", flush=True)
    until("no step is missing", lambda: not holes(place, *span)[0])
    print(f"{holes(place, *span)[1]} steps of all metrics, none missing, {time.time() - back:.1f} s after the hub's start", flush=True)
    until("the page says nothing of it", lambda: 'role="alert" hidden' in ask(place, "/")[1])
print("everything passed")
