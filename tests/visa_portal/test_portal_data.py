"""The page of a running session's data: added, taken away, refused in words, by keyboard, for everybody."""

from contextlib import closing
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from portal_pictures import SIZES, visiting
from portal_sharing import call
from portal_support import hidden

from demo import node

PAGE = "sessions/tooth/data"


@pytest.fixture(autouse=True)
def as_it_was(working):
    yield
    for id in call(working, "alice", "GET", "visa/sessions").json()["sessions"][0]["experiments"]:
        if id != "ma-1":
            call(working, "alice", "DELETE", f"visa/sessions/alice/tooth/data/{id}")


def experiments(site):
    return call(site, "alice", "GET", "visa/sessions").json()["sessions"][0]["experiments"]


def page(client, site, path=PAGE):
    answer = client.get(site.url + path)
    return answer, BeautifulSoup(answer.text, "html.parser")


def send(client, site, what, **form):
    token = hidden(client.get(site.url + PAGE).text, "_xsrf")
    headers = {"Origin": site.origin, "Sec-Fetch-Site": "same-origin"}
    return client.post(f"{site.url}{PAGE}/{what}", data={"_xsrf": token} | form, headers=headers)


def test_data_are_added_and_taken_away_without_a_script(working):
    with closing(working.client("alice")) as client:
        _, tiles = page(client, working, "")
        assert tiles.select_one("#session-tooth a[data-do=data]")["href"].endswith(PAGE)
        _, found = page(client, working, f"{PAGE}?q=implants&scope=mine")
        assert not found.select('form[action*="/data/add"]')
        answer = send(client, working, "add", experiment="ma-2")
        assert answer.url.path.endswith(PAGE)
        assert "in the session now" in answer.text
        assert experiments(working) == ["ma-1", "ma-2"]
        _, now = page(client, working)
        assert [one["data-experiment"] for one in now.select("li[data-experiment]")] == ["ma-1", "ma-2"]
        assert "In the session" in now.select_one('section[aria-labelledby="add-title"]').text
        answer = send(client, working, "add", experiment="ma-2")
        assert answer.status_code == 409
        assert "It is in this session already." in answer.text
        assert "were taken away" in send(client, working, "take", experiment="ma-2").text
        assert experiments(working) == ["ma-1"]
        answer = send(client, working, "take", experiment="ma-1")
        assert answer.status_code == 409
        assert "only experiment of this session" in answer.text
        answer = send(client, working, "add", experiment="hg-9")
        assert answer.status_code == 400
        assert "There is no experiment hg-9 that you may see." in answer.text
        for form in ({}, {"experiment": "../x"}, {"experiment": "ma-2", "more": "1"}):
            assert send(client, working, "add", **form).status_code == 400
        assert client.get(f"{working.url}{PAGE}?added=<script>&q=%00&offset=x").status_code == 200
        _, found = page(client, working, f"{PAGE}?taken=session. Call 555-0199 now, or all data")
        assert "555-0199" not in found.text
        assert not found.select("#done")
        assert not page(client, working, f"{PAGE}?taken=no-such-9")[1].select("#done")
        assert page(client, working, "sessions/none/data")[0].status_code == 404
        assert experiments(working) == ["ma-1"]


def test_the_search_stays_as_data_come_and_go(working):
    asked = f"{PAGE}?q=bone+scan&scope=all"
    with closing(working.client("alice")) as client:
        _, found = page(client, working, asked)
        for id, status in (("ma-3", 200), ("ma-3", 409)):
            add = found.select_one('form[action*="/data/add"]')
            sent = {"_xsrf": hidden(str(found), "_xsrf"), "experiment": id}
            headers = {"Origin": working.origin, "Sec-Fetch-Site": "same-origin"}
            answer = client.post(working.origin + add["action"], data=sent, headers=headers)
            assert answer.status_code == status
            now = BeautifulSoup(answer.text, "html.parser")
            assert now.select_one("#q")["value"] == "bone scan"
            assert now.select_one("[name=scope][checked]")["value"] == "all"
        take = now.select_one('form[action*="/data/take"]')
        answer = client.post(working.origin + take["action"], data=sent, headers=headers)
        assert "were taken away" in answer.text
        assert BeautifulSoup(answer.text, "html.parser").select_one("#q")["value"] == "bone scan"


def test_a_session_whose_data_stay_says_why(working):
    with closing(working.client("alice")) as client, working.held("fixed", "data stay as they are there"):
        answer, found = page(client, working)
        assert "Data stay as they are there." in answer.text
        assert not found.select("form[method=post][action*=data]")
    with closing(working.client("carol")) as client:
        assert page(client, working)[0].status_code == 404


def test_by_keyboard_alone_and_drawn(working, chromium):
    with visiting(working, chromium, bypass_csp=True) as visitor:
        page = visitor.page
        page.locator("#session-tooth a[data-do=data]").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Data of this session").wait_for()
        page.get_by_role("button", name="Add ma-2").focus()
        page.keyboard.press("Enter")
        page.get_by_text("in the session now").wait_for()
        assert page.evaluate("document.activeElement.id") == "done"
        visitor.picture("data")
        page.get_by_role("button", name="Take away ma-2").focus()
        page.keyboard.press("Enter")
        page.get_by_text("were taken away").wait_for()
        page.get_by_role("button", name="Take away ma-1").click()
        page.get_by_role("alert").wait_for()
        visitor.complaints = [one for one in visitor.complaints if "409" not in one]
        axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
        for scheme in ("light", "dark"):
            for size in SIZES.values():
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size(size)
                visitor.go(PAGE)
                page.evaluate(axe)
                problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
                assert not problems, [(one["id"], one["nodes"][0]["html"]) for one in problems]
                wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                assert page.evaluate(wide) == 0
