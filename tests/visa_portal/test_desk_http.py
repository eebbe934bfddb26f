"""The pages for staff, without a browser: who sees them, what they find, what they change."""

import csv
import io
import sqlite3
from contextlib import closing

import pytest
from bs4 import BeautifulSoup
from desk_support import Pages, Person, until
from portal_support import NASTY

STAFF_PAGES = ("support", "support/list", "support/alice/beamtime", "support/alice/beamtime/live")
ADMIN_PAGES = (
    *("admin", "admin/list", "admin/sessions/alice/beamtime", "admin/sessions/alice/beamtime/live"),
    *("admin/sessions/alice/beamtime/stop", "admin/nodes", "admin/nodes/list", "admin/announcements"),
    *("admin/audit", "admin/audit.csv"),
)


@pytest.fixture(scope="module")
def people(site):
    """Everybody at the hub's API; alice with one session on ID19 and one that could not start on ID11."""
    for name in ("alice", "bob"):
        site.clear(name)
    made = {name: Person(site, name) for name in ("alice", "bob", "ines", "heidi", "adam", "lars")}
    made["alice"].start("beamtime", NASTY)
    made["alice"].start("lost", "Strain map", experiments=["ma-2"], profile="broken")
    yield made
    site.clear("alice")


@pytest.fixture(scope="module")
def pages(site, people):
    made = {name: Pages(site, name) for name in people}
    yield made
    for one in made.values():
        one.close()


def soup(answer):
    return BeautifulSoup(answer.text, "html.parser")


def listed(answer):
    assert answer.status_code == 200
    return {row["data-key"] for row in soup(answer).select(".case, tbody [data-key]")}


def test_others_are_told_and_see_no_session(pages):
    for path in STAFF_PAGES + ADMIN_PAGES:
        for name in ("bob", "alice"):
            answer = pages[name].get(path)
            assert answer.status_code == 403, path
            assert "the facility's" in soup(answer).text
            assert "alice/beamtime" not in answer.text
            assert "Strain map" not in answer.text
    for name in ("ines", "heidi", "lars"):
        for path in ADMIN_PAGES:
            assert pages[name].get(path).status_code == 403, (name, path)
    assert "Support" not in soup(pages["bob"].get("")).select_one("nav").text


def test_posts_by_others_change_nothing(people, pages):
    before = people["alice"].call("GET", "visa/notices")["notices"]
    paths = ("support/alice/beamtime/ask", "admin/sessions/alice/beamtime/stop", "admin/announcements")
    xsrf = soup(pages["bob"].get("")).body["data-xsrf"]
    for path in paths:
        form = {"_xsrf": xsrf, "role": "viewer", "words": "hello"}
        headers = {"Origin": pages["bob"].site.origin}
        answer = pages["bob"].browser.post(pages["bob"].site.url + path, data=form, headers=headers)
        assert answer.status_code == 403, path
    assert people["alice"].state("beamtime") == "running"
    assert people["alice"].call("GET", "visa/notices")["notices"] == before


def test_each_sees_what_they_may_help_with(pages):
    assert listed(pages["heidi"].get("support")) >= {"alice/beamtime", "alice/lost"}
    assert listed(pages["adam"].get("support")) >= {"alice/beamtime", "alice/lost"}
    assert listed(pages["ines"].get("support")) == {"alice/beamtime"}  # her instrument
    assert listed(pages["lars"].get("support")) == {"alice/lost"}  # his experiment
    assert pages["ines"].get("support/alice/lost").status_code == 404
    assert pages["lars"].get("support/alice/beamtime").status_code == 404
    for name in ("ines", "lars", "heidi"):
        assert "Support" in soup(pages[name].get("")).select_one("nav").text
        assert "Admin" not in soup(pages[name].get("")).select_one("nav").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "alice/beamtime"}, {"alice/beamtime"}),
        ({"q": "Arnaud strain"}, {"alice/lost"}),
        ({"q": "ma-1"}, {"alice/beamtime"}),
        ({"q": "ID11"}, {"alice/lost"}),
        ({"q": "failed alice"}, {"alice/lost"}),
        ({"state": "running", "q": "alice"}, {"alice/beamtime"}),
        ({"instrument": "id19", "q": "alice"}, {"alice/beamtime"}),
        ({"q": "there is nothing of this name"}, set()),
        ({"q": NASTY[:40]}, {"alice/beamtime", "alice/lost"}),
        ({"state": "no such", "limit": "-3", "q": "alice"}, {"alice/beamtime", "alice/lost"}),
    ],
)
def test_one_search_for_all(pages, query, found):
    for path, name in (("support", "heidi"), ("admin", "adam")):
        answer = pages[name].get(path, params=query)
        assert listed(answer) == found, path
        assert "<script>alert" not in answer.text


def test_lists_are_bounded(pages):
    page = soup(pages["heidi"].get("support", params={"q": "alice", "limit": "1"}))
    assert len(page.select(".case")) == 1
    more = page.select_one('[data-key="more"]')["href"]
    assert len(soup(pages["heidi"].get("support" + more.partition("/support")[2])).select(".case")) == 2


def test_why_a_session_did_not_start_stands_on_one_page(pages):
    page = soup(pages["heidi"].get("support/alice/lost"))
    assert "ended by itself before it was ready (code 3)" in page.select_one("#wrong").text
    assert "ImportError: no module named <script>alert(1)</script>" in page.select_one("#log pre").text
    facts = page.select_one("#facts").text
    for said in ("Alice Arnaud", "alice/lost", "ma-2", "ID11", "Broken"):
        assert said in facts, said
    assert "does not run" in page.select_one("#join").text
    assert not page.select("#join form")


def test_a_page_is_sent_again_only_when_something_changed(pages):
    heidi = pages["heidi"]
    xsrf = soup(heidi.get("support")).body["data-xsrf"]
    headers = {"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "cors"}
    for path in ("support/list", "support/alice/lost/live"):
        first = heidi.get(path, headers=headers)
        assert first.status_code == 200
        again = heidi.get(path, headers=headers | {"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304


def test_help_is_taken_once_and_closed_with_a_word(people, pages):
    people["alice"].call("POST", "visa/sharing/alice/beamtime/help", {"message": f"It is stuck {NASTY}"})
    page = soup(pages["ines"].get("support"))
    (card,) = page.select(".help-card")
    assert NASTY in card.text
    number = card["id"].removeprefix("help-")
    assert "It is stuck" not in pages["lars"].get("support").text
    assert pages["lars"].post(f"support/help/{number}/take").status_code == 404
    assert "It is yours" in pages["ines"].post(f"support/help/{number}/take").text
    late = pages["heidi"].post(f"support/help/{number}/take")
    assert late.status_code == 409
    assert "a colleague has taken it" in soup(late).select_one("[role=alert]").text
    assert "Taken by Ines Iversen" in soup(late).text
    assert "Taken by you" in pages["ines"].get("support").text
    closed = pages["ines"].post(f"support/help/{number}/close", words="Restarted the kernel.")
    assert not soup(closed).select(".help-card")
    said = [one["words"] for one in people["alice"].call("GET", "visa/notices")["notices"]]
    assert any("Restarted the kernel." in one for one in said)


def test_help_is_read_taken_and_closed_on_the_sessions_own_page(people, pages):
    at = "support/alice/beamtime"
    assert not soup(pages["ines"].get(at)).select("#wish form")
    people["alice"].call("POST", "visa/sharing/alice/beamtime/help", {"message": f"It vanishes {NASTY}"})
    wish = soup(pages["ines"].get(at)).select_one("#wish")
    assert "asks for help" in wish.h2.text and NASTY in wish.blockquote.text
    assert pages["lars"].get(at).status_code == 404
    number = wish.select_one("[name=request]")["value"]
    taken = pages["ines"].post(f"{at}/take", request=number)
    assert taken.url.path.endswith(at) and "It is yours" in taken.text
    assert "Taken by you" in soup(taken).select_one("#wish").text
    late = pages["heidi"].post(f"{at}/take", request=number)
    assert (late.status_code, "a colleague has taken it" in late.text) == (409, True)
    assert "Taken by Ines Iversen" in soup(late).select_one("#wish").text
    assert pages["ines"].post(f"{at}/take", request="x" * 30).status_code == 404
    closed = pages["ines"].post(f"{at}/close", request=number, words="The memory was full.")
    assert "Closed" in soup(closed).select_one(".notice.good").text and not soup(closed).select("#wish form")
    said = [one["words"] for one in people["alice"].call("GET", "visa/notices")["notices"]]
    assert any("The memory was full." in one for one in said)


def test_ask_be_let_in_and_leave(people, pages):
    asked = pages["heidi"].post("support/alice/beamtime/ask", role="collaborator", message="May I look?")
    assert "The owner has been asked" in asked.text
    assert "Waiting for the owner's answer" in soup(asked).select_one("#join").text
    twice = pages["heidi"].post("support/alice/beamtime/ask", role="viewer")
    assert twice.status_code == 409
    (request,) = people["alice"].call("GET", "visa/sharing/alice/beamtime")["requests"]
    answer = {"request": request["id"], "answer": "watch"}
    people["alice"].call("POST", "visa/sharing/alice/beamtime/answers", answer)
    join = soup(pages["heidi"].get("support/alice/beamtime")).select_one("#join")
    assert "you may watch" in join.text
    assert join.select_one('[data-key="open"]')["href"].endswith("/user/alice/beamtime/desktop/")
    assert not join.select('[data-key="open-lab"]')
    assert "You are no longer" in pages["heidi"].post("support/alice/beamtime/leave").text
    members = people["alice"].call("GET", "visa/sharing/alice/beamtime")["members"]
    assert members == []


def test_a_request_that_was_declined_or_is_wrong(people, pages):
    wrong = pages["heidi"].post("support/alice/beamtime/ask", role="owner", message="x")
    assert (wrong.status_code, soup(wrong).select_one("[role=alert]").text[:3]) == (400, "As:")
    long = pages["heidi"].post("support/alice/beamtime/ask", role="viewer", message="x" * 2001)
    assert long.status_code == 400
    assert soup(long).select_one("#message").text == "x" * 2001
    pages["heidi"].post("support/alice/beamtime/ask", role="viewer", message="May I?")
    (request,) = people["alice"].call("GET", "visa/sharing/alice/beamtime")["requests"]
    answer = {"request": request["id"], "answer": "decline"}
    people["alice"].call("POST", "visa/sharing/alice/beamtime/answers", answer)
    join = soup(pages["heidi"].get("support/alice/beamtime")).select_one("#join")
    assert "The owner declined" in join.text
    assert join.select_one("form[action$=ask]")
    assert pages["heidi"].post("support/alice/beamtime/second", request="99999").status_code in (404, 409)


def test_a_second_role_agrees_in_the_owners_absence(site, people, pages):
    asked = "support/alice/beamtime"
    pages["heidi"].post(f"{asked}/ask", role="viewer", message="The disk fills up")
    (request,) = people["alice"].call("GET", "visa/sharing/alice/beamtime")["requests"]
    assert not soup(pages["ines"].get(asked)).select("#second form")
    # The owner's minutes are over at once.
    with sqlite3.connect(site.folder / "jupyterhub.sqlite", timeout=20) as database:
        past = "UPDATE visa_requests SET lapses_at = datetime('now', '-1 minute') WHERE id = ?"
        database.execute(past, (request["id"],))
    assert "did not answer in time" in soup(pages["heidi"].get(asked)).select_one("#join").text
    assert not soup(pages["heidi"].get(asked)).select("#second form")  # not by oneself
    assert not soup(pages["lars"].get("support")).select("#waiting li")
    assert "Heidi Holm" in soup(pages["ines"].get("support")).select_one("#waiting").text
    second = soup(pages["ines"].get(asked)).select_one("#second")
    assert "The disk fills up" in second.text
    number = second.select_one("[name=request]")["value"]
    assert "You have agreed" in pages["ines"].post(f"{asked}/second", request=number).text
    assert soup(pages["heidi"].get(asked)).select_one('#join [data-key="open"]')
    said = [one["words"] for one in people["alice"].call("GET", "visa/notices")["notices"]]
    assert any("Heidi Holm" in one for one in said)
    pages["heidi"].post(f"{asked}/leave")


def test_write_to_an_owner_and_end_a_membership(people, pages):
    page = "admin/sessions/alice/beamtime"
    assert "The owner reads it" in pages["adam"].post(f"{page}/message", words="Please save your work.").text
    assert pages["adam"].post(f"{page}/message", words="  ").status_code == 400
    said = [one["words"] for one in people["alice"].call("GET", "visa/notices")["notices"]]
    assert any("Please save your work." in one for one in said)
    member = {"name": "bob", "role": "viewer", "despite": ["ma-1"]}
    people["alice"].call("POST", "visa/sharing/alice/beamtime/members", member)
    assert "Bob Berger" in soup(pages["adam"].get(page)).select_one("#members").text
    assert "End this membership?" in pages["adam"].get(f"{page}/end", params={"member": "bob"}).text
    ended = pages["adam"].post(f"{page}/end", member="bob")
    assert "Nobody but the owner" in soup(ended).select_one("#members").text
    assert people["alice"].call("GET", "visa/sharing/alice/beamtime")["members"] == []


def test_stop_a_session(people, pages):
    people["alice"].start("short")
    page = "admin/sessions/alice/short"
    asked = pages["adam"].get(f"{page}/stop")
    assert "Stop this session?" in asked.text
    assert people["alice"].state("short") == "running"
    assert "It is being stopped" in pages["adam"].post(f"{page}/stop").text
    until(lambda: people["alice"].state("short") == "stopped")
    assert pages["adam"].post(f"{page}/stop").status_code == 409
    assert pages["adam"].get("admin/sessions/alice/none").status_code == 404


def test_drain_a_node(people, pages):
    page = soup(pages["adam"].get("admin/nodes"))
    assert page.select_one("#node-container-left .state").text == "Takes sessions"
    assert "alice/beamtime" in page.select_one("#nodes").text
    assert "3 containers wait for a session" in page.select_one("#node-container-left").text
    assert "for one" not in page.select_one("#node-container-right").text
    try:
        pages["adam"].post("admin/nodes/container/left/drain", words="New memory")
        drained = soup(pages["adam"].post("admin/nodes/container/right/drain", words=""))
        assert "Drained" in drained.select_one("#node-container-left").text
        assert "New memory" in drained.select_one("#node-container-left").text
        people["alice"].start("late", wait=False)
        until(lambda: people["alice"].state("late") in ("failed", ""))
        assert people["alice"].state("beamtime") == "running"
    finally:
        for node in ("left", "right"):
            page = soup(pages["adam"].post(f"admin/nodes/container/{node}/undrain"))
    assert "Takes sessions" in page.select_one("#node-container-left").text
    assert people["alice"].start("late")
    assert people["alice"].state("late") == "running"
    assert pages["adam"].post("admin/nodes/container/none/drain").status_code == 404


def test_announcements_to_all_and_to_an_instrument(people, pages):
    adam = pages["adam"]
    made = adam.post("admin/announcements", words=f"ID19 is down {NASTY}", instrument="id19")
    assert "Announced." in made.text
    later = {"words": "From next year", "since": "2036-01-01T08:00", "until": "2036-01-02T08:00"}
    assert ", later" in adam.post("admin/announcements", **later).text
    assert NASTY in soup(pages["alice"].get("")).text
    assert "ID19 is down" not in pages["lars"].get("").text
    assert "From next year" not in pages["alice"].get("").text
    wrong = adam.post("admin/announcements", words="x", until="2020-01-01T00:00")
    assert wrong.status_code == 400
    assert soup(wrong).select_one("[role=alert]").text.startswith("To:")
    for card in soup(adam.get("admin/announcements")).select(".announcement"):
        ended = adam.post(f"admin/announcements/{card['id'].removeprefix('announcement-')}/end")
    assert not soup(ended).select(".announcement")
    assert "ID19 is down" not in pages["alice"].get("").text


def test_the_audit_log_in_words_and_as_a_file(people, pages):
    adam = pages["adam"]
    people["alice"].call("PUT", "visa/sharing/alice/beamtime/lock", {"locked": True})
    people["alice"].call("PUT", "visa/sharing/alice/beamtime/lock", {"locked": False})
    page = soup(adam.get("admin/audit", params={"session": "beamtime", "owner": "alice", "what": "locked"}))
    lines = page.select("tbody tr")
    assert len(lines) == 1
    assert "alice locked the session" in lines[0].text
    assert "127.0.0.1" in lines[0].text
    file = adam.get("admin/audit.csv", params={"owner": "alice", "session": "beamtime", "what": "locked"})
    assert file.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in file.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert [(row["what"], row["who"], row["session"]) for row in rows] == [("locked", "alice", "beamtime")]
    assert len(soup(adam.get("admin/audit", params={"who": "alice"})).select("tbody tr")) > 1
    assert not soup(adam.get("admin/audit", params={"until": "2020-01-01"})).select("tbody tr")
    wrong = adam.get("admin/audit", params={"since": "yesterday"})
    assert (wrong.status_code, soup(wrong).select_one("[role=alert]").text[:5]) == (400, "From:")


def test_the_audit_log_page_by_page(people, pages):
    for _ in range(60):
        for locked in (True, False):
            people["alice"].call("PUT", "visa/sharing/alice/beamtime/lock", {"locked": locked})
    seen, path = [], "admin/audit?owner=alice&session=beamtime"
    while path:
        page = soup(pages["adam"].get(path))
        seen += [row.text for row in page.select("tbody tr")]
        older = [link["href"] for link in page.select(".pager a") if link.text == "Older"]
        path = f"admin/audit{older[0]}" if older else ""
    file = pages["adam"].get("admin/audit.csv", params={"owner": "alice", "session": "beamtime"})
    assert len(seen) == len(list(csv.DictReader(io.StringIO(file.text)))) > 120


def test_a_foreign_page_cannot_act(site, people, pages):
    adam = pages["adam"]
    adam.get("admin")
    xsrf = soup(adam.get("admin")).body["data-xsrf"]
    for path in (
        "admin/sessions/alice/beamtime/stop",
        "admin/nodes/container/left/drain",
        "admin/announcements",
    ):
        form = {"_xsrf": xsrf, "words": "x"}
        foreign = adam.browser.post(
            site.url + path, data=form, headers={"Origin": f"http://alice.localhost:{site.public}"}
        )
        assert foreign.status_code == 403
        forged = adam.browser.post(
            site.url + path, data={"words": "x", "_xsrf": "forged"}, headers={"Origin": site.origin}
        )
        assert forged.status_code == 403
    with closing(site.client("bob")) as bob:
        assert bob.get(site.url).status_code == 200
    assert people["alice"].state("beamtime") == "running"
