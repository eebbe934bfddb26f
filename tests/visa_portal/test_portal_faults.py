"""What people see when a part is down, and that nothing is lost by it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import pytest
from portal_pictures import visiting
from portal_support import hidden, wait_for
from test_portal_http import fill, post, soup, wait_ready

from visa_portal.hub import HubClient
from visa_portal.starts import Starts


@pytest.fixture(scope="module")
def parts(own_site):
    return own_site


def start(client, site, query="experiment=ma-1"):
    form = fill(soup(client.get(f"{site.url}new?{query}")), "#go")
    post(client, site, form)
    return form["name"][0]


def test_hub_down_is_said_and_goes_away_by_itself(parts, chromium):
    with visiting(parts, chromium) as visitor:
        page = visitor.page
        parts.stop("hub")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # sooner than it would
        page.get_by_text("What you see may be out of date").wait_for(timeout=20_000)
        page.reload()
        page.get_by_role("heading", name="Not available right now").wait_for()
        assert "Running sessions go on running" in page.inner_text("main")
        visitor.picture("hub-down")
        with closing(parts.client(None)) as stranger:
            # Who is not logged in is sent to the hub, and the proxy shows our page in its place.
            answer = stranger.get(parts.url)
            assert answer.status_code == 503
            assert "tries again by itself" in answer.text
            assert 'http-equiv="refresh"' in answer.text
        health = httpx.get(f"{parts.direct}health")
        assert (health.status_code, health.json()["hub"], health.json()["catalogue"]) == (503, False, True)
        parts.start_hub()
        page.get_by_role("heading", name="My sessions").wait_for(timeout=40_000)
        visitor.complaints = [one for one in visitor.complaints if "503" not in one]


def test_a_start_outlives_the_portal(parts):
    with closing(parts.client("alice")) as alice, parts.held():
        name = start(alice, parts)
        parts.stop("portal")
        parts.start_portal()
        wait_for(f"{parts.direct}health")
        page = alice.get(f"{parts.url}sessions/{name}/starting")
        assert page.status_code == 200
        assert soup(page).select_one("#start")["data-state"] == "starting"
        steps = alice.stream("GET", f"{parts.url}sessions/{name}/progress", headers=script(page))
        with steps as stream:
            (parts.folder / "marks" / "hold").unlink()
            said = "".join(stream.iter_text())
        assert "Starting the session's server" in said
        assert said.rstrip().splitlines()[-2] == "event: ready"
        # And the form of a page from before the restart is still good.
        wait_ready(alice, parts, "alice")
        xsrf = {"_xsrf": hidden(page.text, "_xsrf")} if "_xsrf" in page.text else {}
        assert post(alice, parts, xsrf, f"sessions/{name}/stop").status_code == 200
    parts.clear("alice")


def test_a_click_while_the_hub_is_down_is_answered_in_words(parts):
    with closing(parts.client("alice")) as alice:
        form = fill(soup(alice.get(f"{parts.url}new?experiment=ma-2")), "#go")
        # As when the hub goes away between the page and the click: its record of us is still fresh.
        parts.stop("hub")
        answer = post(alice, parts, form)
        assert answer.status_code == 503
        assert "does not answer" in answer.text
        parts.start_hub()
        wait_for(f"http://127.0.0.1:{parts.hub_port}/hub/health")
        time.sleep(1)
        assert parts.sessions("alice") == {}
        assert post(alice, parts, form).status_code == 200
        wait_ready(alice, parts, "alice")
    parts.clear("alice")


def test_a_start_that_the_hub_did_not_hear_is_asked_for_again(parts):
    parts.client("alice").close()  # the hub knows who has logged in
    with ThreadPoolExecutor(1) as apart:  # the browser's driver keeps this thread's loop busy
        apart.submit(asyncio.run, unheard(parts)).result()
    assert list(parts.sessions("alice")) == ["unheard"]
    parts.clear("alice")


async def unheard(parts):
    token = parts.rest("POST", "users/alice/tokens", json={}).json()["token"]
    hub = HubClient(f"http://127.0.0.1:{parts.hub_port}/hub/api")
    options = {"experiments": ["ma-1"], "profile": "general", "plan": "small"}
    parts.stop("hub")
    starts = Starts(hub)
    start = starts.begin(token, "alice", "unheard", {"display_name": "Unheard", "user_options": options})
    assert starts.begin(token, "alice", "unheard") is start
    await start.news(5)
    assert start.steps[0].words == "The service does not answer; trying again"
    parts.start_hub()
    async with asyncio.timeout(60):
        async for _ in start.watch():
            pass
    assert (start.state, start.words) == ("ready", "")
    await starts.close()
    await hub.close()


def test_a_start_after_one_that_failed_is_not_taken_for_that(parts):
    parts.client("alice").close()  # the hub knows who has logged in
    with ThreadPoolExecutor(1) as apart:  # the browser's driver keeps this thread's loop busy
        apart.submit(asyncio.run, tried_again(parts)).result()
    parts.clear("alice")


async def tried_again(parts):
    """The first dies while it starts; the second takes longer than the hub keeps whoever asks for it."""
    token = parts.rest("POST", "users/alice/tokens", json={}).json()["token"]
    hub = HubClient(f"http://127.0.0.1:{parts.hub_port}/hub/api")
    options = {"experiments": ["ma-1"], "profile": "general", "plan": "small"}
    hold, pid = parts.folder / "marks/hold", parts.folder / "marks/alice+twice.pid"
    starts = Starts(hub)
    hold.touch()
    try:
        async with asyncio.timeout(60):
            first = starts.begin(token, "alice", "twice", {"display_name": "Twice", "user_options": options})
            while not pid.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            os.kill(int(pid.read_text()), signal.SIGKILL)
            async for _ in first.watch():
                pass
            assert first.state == "failed"
            second = starts.begin(token, "alice", "twice")
            await asyncio.sleep(4)  # twice what the hub keeps whoever asks
            assert second.state == "starting", second.words
            hold.unlink()
            async for _ in second.watch():
                pass
            assert (second.state, second.words) == ("ready", "")
    finally:
        hold.unlink(missing_ok=True)
        await starts.close()
        await hub.close()


def test_a_broken_catalogue_keeps_its_last_good_state(parts):
    file = parts.folder / "experiments.jsonl"
    good = file.read_text()
    try:
        file.write_text(good.replace('"instrument"', '"instrumnet"', 1))
        with closing(parts.client("alice")) as alice:
            until = time.monotonic() + 10
            while httpx.get(f"{parts.direct}health").json()["catalogue"]:
                alice.get(f"{parts.url}new")
                assert time.monotonic() < until
                time.sleep(0.2)
            assert "ma-1" in alice.get(f"{parts.url}new").text
    finally:
        file.write_text(good)


def test_without_a_catalogue_it_says_so(parts):
    for address, said in (("", "set VISA_CATALOGUE"), ("file:///nowhere.jsonl", "/nowhere.jsonl")):
        ended = subprocess.run(
            [sys.executable, "-m", "visa_portal.app"],
            env=parts.environment | {"VISA_CATALOGUE": address, "JUPYTERHUB_API_TOKEN": "x"},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ended.returncode == 2
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def script(page) -> dict:
    """What our script sends with a request for a fragment."""
    return {"Sec-Fetch-Mode": "cors", "X-XSRFToken": soup(page).body["data-xsrf"]}
