"""Sessions that wait in a queue, in a browser: what is free, where one stands, coming back, giving up.

Pages look every few seconds, and this machine may be slow: expectations have time.
"""

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect
from portal_pictures import visiting
from portal_sharing import until
from test_portal_browser import tiles
from test_portal_pictures import start

from demo import node

expect.set_options(timeout=20_000)

CHOICE = "new?experiment=ma-1&profile=tomography&plan=cluster"
# As the cluster's backend says it.
FULL = {"sessions": 0, "words": "All 8 a100 GPUs are in use. 3 jobs wait in the queue"}
THIRD = "Waiting in the queue: 3rd of 3. Jobs with a higher priority go first."
NEXT = "Waiting in the queue: 1st of 3. It waits for free resources."


#: A time of today as the visitor's browser says it.
CLOCK = "t => new Date(t).toLocaleString('fr-FR', {hour: '2-digit', minute: '2-digit'})"


def cluster_plan(page):
    return page.locator('[data-plan="tomography/cluster"]')


def free(site, **told) -> None:
    (site.folder / "marks" / "free").write_text(json.dumps(told))


#: Ends each stream of steps after a moment, and has none while `away`.
SHORT_STREAMS = """
window.streams = 0;
const ask = window.fetch;
window.fetch = async (...about) => {
  if (!String(about[0]).includes("/progress")) return ask(...about);
  if (window.away) throw new TypeError("away");
  const whole = await ask(...about), reader = whole.body.getReader(), told = [];
  setTimeout(() => reader.cancel(), 500);
  for (let one; !(one = await reader.read()).done; ) told.push(one.value);
  window.streams += 1;
  return new Response(new Blob(told), { status: whole.status, headers: whole.headers });
};
"""


def say(site, words: str) -> None:
    """Where everything in the queue stands from now on; whoever reads sees the old or the new words."""
    written = site.folder / "marks" / "queue.new"
    written.write_text(words)
    written.rename(site.folder / "marks" / "queue")


def waiting(page):
    """The one line about the queue."""
    return page.locator("#steps li[data-queued]")


@pytest.fixture
def queue(fresh):
    """The site, with a queue in which nothing moves."""
    marks = fresh.folder / "marks"
    with fresh.held("queue", THIRD):
        yield fresh
        fresh.clear("alice")
    for name in ("free", "said", "no-more"):
        (marks / name).unlink(missing_ok=True)


def test_what_is_free_is_kept_up_without_touching_the_choice(queue, chromium):
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        plan = cluster_plan(page)
        expect(plan).to_have_text("Free now: 24 of 32 cores, 3 of 8 a100 GPUs.")
        page.get_by_label("Title").fill("Mine")
        page.get_by_label("Title").focus()
        page.evaluate("window.stayed = true")
        soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(hours=2)
        free(queue, **FULL, expected=soon.isoformat())
        clock = page.evaluate(CLOCK, soon.isoformat())
        # With the day where it is another in the browser's own zone.
        said = re.compile(re.escape(FULL["words"]) + r"\. Waits in the queue, expected .*" + re.escape(clock))
        expect(plan).to_have_text(said)
        expect(page.locator("#announce")).to_have_text(said)
        expect(page.locator("#summary")).to_contain_text("waits in the queue first")
        assert page.get_by_role("radio", name="Cluster").is_checked()
        assert page.get_by_label("Title").input_value() == "Mine"
        assert page.evaluate("document.activeElement.id") == "title"
        assert page.evaluate("window.stayed") is True
        visitor.picture("queue-choice")
        free(queue, words="30 of 32 cores free", sessions=1)
        expect(plan).to_have_text("30 of 32 cores free")
        assert "waits" not in page.locator("#summary").inner_text()


def test_a_plan_without_room_is_started_and_waits(queue, chromium):
    free(queue, **FULL)
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        start(page)
        page.get_by_role("heading", name="In the queue").wait_for()
        expect(waiting(page).locator("span")).to_have_text(THIRD)
        expect(page.get_by_text("You may close this page; the session goes on waiting")).to_be_visible()
        expect(page.locator("#bar")).to_be_hidden()
        steps = page.locator("#steps li")
        before = steps.count()
        for place in range(9, 3, -1):
            say(queue, f"Waiting in the queue: {place}th of 9.")
            expect(waiting(page).locator("span")).to_contain_text(f"{place}th")
        say(queue, NEXT)
        expect(waiting(page).locator("span")).to_have_text(NEXT)
        assert steps.count() == before
        visitor.picture("queue-waiting")
        # Whoever comes back sees the same.
        page.goto("about:blank")
        visitor.go()
        expect(tiles(page, "starting")).to_contain_text(NEXT)
        expect(tiles(page, "starting").locator(".state")).to_have_text("In the queue")
        expect(tiles(page, "starting")).to_contain_text("You may close this page")
        assert "Time left" not in tiles(page, "starting").inner_text()
        visitor.picture("queue-tile")
        page.get_by_role("link", name="See how it waits").click()
        page.get_by_role("heading", name="In the queue").wait_for()
        expect(waiting(page)).to_have_count(1)
        expect(waiting(page).locator("span")).to_have_text(NEXT)
        assert steps.count() == before
        (queue.folder / "marks" / "queue").unlink()
        page.wait_for_url(re.compile("/user/alice/"))


def test_a_page_that_loses_its_line_tells_nothing_twice(queue, chromium):
    """The stream ends, and is told from the beginning when there is one again."""
    free(queue, **FULL)
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        page.add_init_script(SHORT_STREAMS)
        start(page)
        expect(waiting(page).locator("span")).to_have_text(THIRD)
        before = page.locator("#steps li").count()
        until(lambda: page.evaluate("window.streams") >= 3, "the stream is read anew")
        page.evaluate("window.away = true")
        lost = page.locator("#steps li", has_text="No connection at the moment")
        expect(lost).to_be_visible()
        say(queue, NEXT)
        page.evaluate("window.away = false")
        expect(waiting(page).locator("span")).to_have_text(NEXT)
        expect(lost).to_have_count(0)
        expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
        assert page.locator("#steps li").count() == before
        # On from the queue, which the next streams tell as well.
        (queue.folder / "marks" / "queue").unlink()
        page.wait_for_url(re.compile("/user/alice/"))


def test_a_waiting_session_is_cancelled_by_keyboard(queue, chromium):
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        start(page)
        waiting(page).wait_for()
        visitor.go()
        page.get_by_role("link", name="Cancel").focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("It gives up its place in the queue")
        expect(dialog.get_by_role("button", name="Keep waiting")).to_be_visible()
        dialog.get_by_role("button", name="Cancel it").focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Start again").wait_for()


def test_why_it_ended_in_the_queue_stays_readable(queue, chromium):
    why = (
        "Cancelled by an administrator of the cluster before it started, while it was waiting for "
        "resources: the partition gpu is emptied for maintenance until Monday.\nStart it again then."
    )
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        start(page)
        waiting(page).wait_for()
        name = page.url.split("/")[-2]
        (queue.folder / "marks" / f"alice+{name}.why").write_text(why)
        page.get_by_role("heading", name="Could not start").wait_for()
        for line in why.split("\n"):
            expect(page.locator("#failure")).to_contain_text(line)
        visitor.go()
        for line in why.split("\n"):
            expect(tiles(page, "failed")).to_contain_text(line)
        expect(tiles(page, "failed").locator(".state")).to_have_text("Failed")
        ended = visitor.go(f"history?session={name}").locator('[data-what="start-failed"]')
        expect(ended).to_contain_text(
            "The session did not start: Cancelled by an administrator of the cluster before"
        )
        expect(ended).to_contain_text("emptied for maintenance until Monday")
        visitor.go()
        visitor.picture("queue-ended")


def test_a_running_session_says_what_the_cluster_says(queue, chromium):
    (queue.folder / "marks" / "queue").unlink()
    with visiting(queue, chromium) as visitor:
        page = visitor.go(CHOICE)
        start(page)
        page.get_by_role("heading", name="/user/alice/").wait_for()
        now = datetime.now(UTC)
        suspended = "Suspended by the cluster since {}. It goes on when the other job has ended."
        (queue.folder / "marks" / "said").write_text(suspended.format(f"{now:%H:%M} UTC"))
        visitor.go()
        # The hub's words as they are, but for the time, which is the browser's own.
        clock = page.evaluate(CLOCK, now.isoformat())
        said = tiles(page, "running").locator(".words")
        expect(said).to_have_text(suspended.format(clock))
        page.evaluate("tile => (window.tile = tile)", tiles(page, "running").element_handle())
        page.wait_for_timeout(4500)  # longer than two looks
        assert page.evaluate("window.tile.isConnected"), "the tile is replaced though nothing has changed"
        expect(page.get_by_role("link", name="Open desktop")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_while_waiting(queue, chromium, scheme):
    axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
    free(queue, **FULL, expected="2026-11-30T13:05:00+00:00")
    with visiting(queue, chromium, bypass_csp=True, color_scheme=scheme) as visitor:
        page, found = visitor.page, {}

        def look(name):
            page.evaluate(axe)
            problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            found[name] = [(p["id"], [n["html"][:120] for n in p["nodes"][:3]]) for p in problems]

        visitor.go(CHOICE)
        look("choice")
        start(page)
        waiting(page).wait_for()
        look("waiting")
        page.get_by_role("link", name="Cancel").click()
        look("cancel")
        visitor.go()
        look("tile")
        assert {name: problems for name, problems in found.items() if problems} == {}


def asked(site) -> int:
    return site.log_of("hub").count("GET /hub/api/visa/options")


def test_all_who_look_at_what_is_free_cost_one_question(queue):
    clients = [queue.client(name) for name in ("alice", "carol", "bob")]
    try:
        for client in clients:
            assert client.get(queue.url + "new?experiment=in-0").status_code == 200
        before, begun, looks = asked(queue), time.monotonic(), 0
        while time.monotonic() - begun < 5:
            for client in clients:
                answer = client.get(queue.url + "new/room")
                assert answer.status_code == 200
                assert 'data-plan="tomography/cluster"' in answer.text
                looks += 1
        assert looks > 20
        assert asked(queue) - before <= 2
    finally:
        for client in clients:
            client.close()
