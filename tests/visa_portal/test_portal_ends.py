"""The end of a session: told in time, put off by its owner, refused in words; and waiting across restarts."""

import re
import threading
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from desk_support import Pages, Person, until
from playwright.sync_api import expect
from portal_pictures import visiting
from portal_support import wait_for
from test_portal_browser import tiles
from test_portal_http import soup
from test_portal_queue import NEXT, THIRD, say, waiting

from demo import node

expect.set_options(timeout=20_000)

CLUSTER = {"plan": "cluster"}


@pytest.fixture
def alice(fresh):
    yield Person(fresh, "alice")
    for name in ("queue", "said", "no-more"):
        (fresh.folder / "marks" / name).unlink(missing_ok=True)


def ask(person, name: str) -> None:
    """Ask for a session that has to wait: the hub answers only later that it does."""
    threading.Thread(target=person.start, args=(name, "Titanium"), kwargs={"wait": False, **CLUSTER}).start()
    until(lambda: person.state(name) == "starting")


def ends(person, name) -> datetime:
    (found,) = [one for one in person.call("GET", "visa/sessions")["sessions"] if one["name"] == name]
    return datetime.fromisoformat(found["ends"])


def test_a_near_end_is_told_and_put_off(fresh, alice, chromium):
    alice.start("soon", "Titanium", lifetime_hours=0.4)
    before = ends(alice, "soon")
    axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
    with visiting(fresh, chromium, bypass_csp=True) as visitor:

        def look():
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            assert [(p["id"], [n["html"][:120] for n in p["nodes"][:3]]) for p in found] == []

        page = visitor.go()
        warning = tiles(page, "running").locator("[data-ending]")
        expect(warning).to_have_text("Ends in less than 30 minutes. Save your work, or extend it.")
        look()
        visitor.picture("ends-soon")
        page.get_by_role("link", name="Extend").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Extend this session").wait_for()
        expect(page.get_by_text("It ends")).to_contain_text("2")
        look()
        page.emulate_media(color_scheme="dark")
        look()
        visitor.picture("extend")
        page.get_by_label("Go on for").select_option("1")
        page.get_by_role("button", name="Extend").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("#session-soon$"))
        expect(tiles(page, "running").locator("time[data-left]")).to_have_text(re.compile("^1 h 2"))
        expect(warning).to_have_count(0)
    assert abs(ends(alice, "soon") - before - timedelta(hours=1)) < timedelta(seconds=5)


def test_what_the_hub_refuses_is_said_in_its_words(fresh, alice):
    alice.start("held", **CLUSTER)
    (fresh.folder / "marks" / "no-more").write_text("the cluster does not let jobs of gpu run longer")
    with closing(Pages(fresh, "alice")) as pages:
        answer = pages.post("sessions/held/extend", hours="2")
        assert answer.status_code == 403
        refusal = soup(answer).select_one("#refused").text
        assert refusal == "The cluster does not let jobs of gpu run longer"
        for hours in ("", "0", "-1", "nan", "inf", "x"):
            assert pages.post("sessions/held/extend", hours=hours).status_code == 400
        assert pages.post("sessions/held/extend", hours="1", more="1").status_code == 400
        assert pages.post("sessions/none/extend", hours="1").status_code == 404
        assert pages.post("sessions/held/extend", hours="99999999").status_code == 400
    with closing(Pages(fresh, "carol")) as others:
        # Carol's own session of that name, of which there is none.
        assert others.post("sessions/held/extend", hours="1").status_code == 404
    without = httpx.post(f"{fresh.url}sessions/held/extend", data={"hours": "1"})
    assert without.status_code in (401, 403)


def test_a_session_that_waits_is_not_extended(fresh, alice):
    with fresh.held("queue", THIRD), closing(Pages(fresh, "alice")) as pages:
        ask(alice, "held")
        page = soup(pages.get("sessions/held/extend"))
        assert "It cannot be extended now" in page.text
        assert page.select_one("form[action$=extend]") is None
        assert pages.post("sessions/held/extend", hours="1").status_code == 409


def test_waiting_outlives_hub_and_portal_and_can_be_given_up(own_site, chromium):
    alice = Person(own_site, "alice")
    with own_site.held("queue", THIRD), visiting(own_site, chromium) as visitor:
        ask(alice, "held")
        page = visitor.go("sessions/held/starting")
        expect(waiting(page).locator("span")).to_have_text(THIRD)
        own_site.processes["hub"].kill()
        own_site.processes.pop("hub").wait()
        own_site.start_hub()
        wait_for(f"http://localhost:{own_site.public}/hub/health")
        say(own_site, NEXT)
        # The page that was open all the while goes on by itself.
        expect(waiting(page).last.locator("span")).to_have_text(NEXT)
        expect(page.get_by_role("heading", name="In the queue")).to_be_visible()
        own_site.stop("portal")
        own_site.start_portal()
        wait_for(f"{own_site.direct}health")
        visitor.go("sessions/held/starting")
        expect(waiting(page).locator("span")).to_have_text(NEXT)
        visitor.go()
        expect(tiles(page, "starting")).to_contain_text(NEXT)
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
        page.get_by_role("button", name="Start again").wait_for()
        assert not list((own_site.folder / "marks").glob("*.pid"))
        visitor.complaints = [one for one in visitor.complaints if "50" not in one]


def test_who_logs_out_while_it_waits_finds_it_waiting(fresh, alice, chromium):
    with fresh.held("queue", THIRD):
        with visiting(fresh, chromium) as visitor:
            ask(alice, "held")
            page = visitor.go("sessions/held/starting")
            expect(waiting(page).locator("span")).to_have_text(THIRD)
            page.get_by_role("link", name="Log out").click()
            page.wait_for_load_state()
        with visiting(fresh, chromium) as visitor:
            say(fresh, NEXT)
            page = visitor.go("sessions/held/starting")
            expect(waiting(page).locator("span")).to_have_text(NEXT)
            (fresh.folder / "marks" / "queue").unlink()
            page.wait_for_url(re.compile("/user/alice/held/"))


def test_the_clusters_nodes_are_shown_as_slurm_has_them(fresh, chromium):
    adam = Person(fresh, "adam")
    with visiting(fresh, chromium, "adam") as visitor:
        page = visitor.go("admin/nodes")
        open_node, closed = page.locator("#node-slurm-cn1"), page.locator("#node-slurm-cn2")
        expect(open_node.locator(".state")).to_have_text("Takes jobs")
        expect(closed.locator(".state")).to_have_text("Closed by Slurm")
        expect(closed).to_contain_text("Slurm starts nothing new there: a disk is being replaced")
        containers = page.get_by_role("region", name="Containers")
        expect(containers.get_by_role("button", name="Drain")).to_have_count(2)
        left = page.locator("#node-container-left")
        try:
            left.get_by_label("Why").fill("New memory")
            left.get_by_role("button", name="Drain").click()
            expect(left.locator(".state")).to_have_text("Drained")
            expect(left).to_contain_text("New memory")
            # Kept free of sessions by this site is another thing than closed by Slurm, and may be both.
            closed.get_by_label("Why").fill("For the school")
            closed.get_by_role("button", name="Keep sessions away").click()
            expect(closed.locator(".state")).to_have_text(["No new sessions", "Closed by Slurm"])
            expect(closed).to_contain_text("For the school · adam")
            expect(closed).to_contain_text("a disk is being replaced")
            expect(open_node.locator(".state")).to_have_text("Takes jobs")
            visitor.picture("admin-nodes-cluster")
            closed.get_by_role("button", name="Let sessions come again").click()
            expect(closed.locator(".state")).to_have_text("Closed by Slurm")
        finally:
            for backend, name in (("container", "left"), ("slurm", "cn2")):
                path = f"visa/admin/nodes/{backend}/{name}"
                adam.call("PUT", path, {"drained": False, "words": ""})
