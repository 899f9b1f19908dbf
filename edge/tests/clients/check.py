"""Tests the page with Chromium, the API with schemathesis, and live updates with Python's websockets."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import websockets
from place import Place, until
from playwright.sync_api import sync_playwright

PICTURES = os.environ.get("PICTURES")


def text(page, selector):
    return page.locator(selector).inner_text()


def values_change(place, page):
    page.goto(place.web + "/")
    cells = '#fleet tr[data-host="Shop"] td.number'
    seen = {tuple(page.locator(cells).all_inner_texts())}

    def has_changed_twice():
        seen.add(tuple(page.locator(cells).all_inner_texts()))
        return len(seen) > 2

    until("values change", has_changed_twice)
    assert "2 of 2 hosts live" in text(page, "#status")
    assert page.locator("#notice").is_hidden()


def an_agent_stops_and_starts_again(place, page):
    state = '#fleet tr[data-host="db"] .state'
    place.stop("db")
    until("db is offline", lambda: "offline" in text(page, state))
    assert "1 of 2 hosts live" in text(page, "#status")
    until("an alert is shown", lambda: page.locator("#alerts").is_visible())
    assert "silent" in text(page, "#alerts") and "db" in text(page, "#alerts")
    place.start_agent("db")
    until("db is live again", lambda: "live" in text(page, state))
    until("the alert is resolved", lambda: page.locator("#alerts").is_hidden())


def the_chart_moves(place, page):
    page.goto(place.web + "/hosts/Shop")
    until("charts are drawn", lambda: page.locator("#charts canvas").count() >= 4)
    canvas = "document.querySelector('#charts canvas').toDataURL()"
    first = page.evaluate(canvas)
    until("the chart moves", lambda: page.evaluate(canvas) != first)
    label = page.locator("#charts [role=img]").first.get_attribute("aria-label")
    assert label.startswith("CPU: now"), label
    page.get_by_role("button", name="6 h").click()
    until("the range is chosen", lambda: page.get_by_role("button", name="6 h").get_attribute("aria-pressed") == "true")
    assert page.url.endswith("#6h")


def keys_reach_everything(place, page):
    page.goto(place.web + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Shop"
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/Shop")
    names = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        names.add(page.evaluate("document.activeElement.textContent"))
    assert {"15 min", "1 h", "3 h", "6 h"} <= names, names


def the_hub_stops_and_starts_again(place, page):
    page.goto(place.web + "/")
    place.stop("hub")
    until("the page says that the hub is disconnected", lambda: "Hub disconnected" in text(page, "#notice"))
    assert page.locator("#fleet tbody tr").count() == 2
    place.start_hub()
    until("the page is live again", lambda: page.locator("#notice").is_hidden() and "2 of 2" in text(page, "#status"))

    def no_gap():
        points = place.get("/api/v1/hosts/Shop/series?metric=cpu")["points"]
        known = [at for at, (_, value) in enumerate(points) if value is not None]
        return all(points[at][1] is not None for at in range(known[0], known[-1]))

    until("the gap is filled", no_gap)


def without_a_script(place, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(place.web + "/")
    assert page.locator("#fleet tbody tr").count() == 2
    assert page.locator("#fleet svg.spark").count() == 2
    page.get_by_role("link", name="Shop").click()
    assert page.locator("figure svg.chart").count() >= 4
    context.close()


def pictures(place, browser):
    for scheme in ("light", "dark"):
        for name, size in (("desktop", (1280, 800)), ("narrow", (1080, 800)), ("tablet", (820, 1180)), ("phone", (390, 844))):
            context = browser.new_context(viewport=dict(zip(("width", "height"), size)), color_scheme=scheme)
            page = context.new_page()
            for what, path in (("fleet", "/"), ("host", "/hosts/Shop")):
                page.goto(place.web + path)
                page.wait_for_timeout(1500)
                wide = page.evaluate("Math.max(document.documentElement.scrollWidth - innerWidth, document.getElementById('main').scrollWidth - document.getElementById('main').clientWidth)")
                assert wide <= 0, f"{what} is {wide} pixels too wide on a {name}"
                if PICTURES:
                    Path(PICTURES).mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=f"{PICTURES}/{what}-{name}-{scheme}.png", full_page=True)
            context.close()


def interactive(place, browser):
    """Milliseconds until DOMContentLoaded, and bytes transferred; medians of five visits."""
    figures = []
    for _ in range(5):
        context = browser.new_context()
        page = context.new_page()
        received = []
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
        page.add_init_script("document.addEventListener('DOMContentLoaded', () => { window.ready = performance.now(); })")
        page.goto(place.web + "/hosts/Shop", wait_until="load")
        page.wait_for_timeout(500)
        figures.append((page.evaluate("window.ready"), sum(received)))
        context.close()
    return [sorted(column)[2] for column in zip(*figures)]


def check_pages(place):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
        context = browser.new_context()
        page = context.new_page()
        wrong, foreign = [], []
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: foreign.append(request.url) if not request.url.startswith(place.web) else None)
        for check in (values_change, an_agent_stops_and_starts_again, the_chart_moves, keys_reach_everything, the_hub_stops_and_starts_again):
            check(place, page)
            print("ok  ", check.__name__.replace("_", " "), flush=True)
        assert not wrong, wrong
        assert not foreign, foreign
        without_a_script(place, browser)
        pictures(place, browser)
        ready, received = interactive(place, browser)
        print(f"ok   interactive after {ready:.0f} ms, {received / 1000:.1f} kB transferred with all charts", flush=True)
        assert received < 70_000, received
        browser.close()


async def messages(place):
    """Live updates match the documented schema."""
    async with websockets.connect(place.web.replace("http", "ws") + "/api/v1/live") as live:
        fleets = [json.loads(await live.recv()) for _ in range(3)]
        await (await live.ping())
    schema = place.get("/api/v1/openapi.json")["components"]["schemas"]["Fleet"]
    for fleet in fleets:
        assert set(schema["required"]) <= set(fleet) <= set(schema["properties"]), fleet
    assert fleets[0]["now_ms"] < fleets[1]["now_ms"] < fleets[2]["now_ms"]
    assert [one["name"] for one in fleets[0]["hosts"]] == ["Shop", "db"]


def api(place):
    """Responses to valid and almost valid requests match openapi.json and are never server errors."""
    schemathesis = Path(sys.executable).parent / "schemathesis"
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [schemathesis, "run", place.web + "/api/v1/openapi.json", "--checks", checks, "--max-examples", "50"]
    names = '[parameters]\n"path.host" = "Shop"\n'
    (Path(place.folder.name) / "schemathesis.toml").write_text(names)
    command += ["--exclude-path", "/api/v1/events", "--request-timeout", "10", "--no-color"]
    done = subprocess.run(command, cwd=place.folder.name, capture_output=True, text=True)
    print(done.stdout[-1200:] if done.returncode == 0 else done.stdout, flush=True)
    assert done.returncode == 0, done.stderr


start = time.monotonic()
with Place() as place:
    asyncio.run(messages(place))
    print("ok   live updates match the schema", flush=True)
    api(place)
    check_pages(place)
print(f"everything passed in {time.monotonic() - start:.0f} s")
