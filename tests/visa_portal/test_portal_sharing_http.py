"""The sharing page without script, and what a stranger or a prankster gets."""

from contextlib import closing

import httpx
import pytest
from portal_sharing import Page, browser, call, comes, let_in, members, run, soup, until
from portal_support import NASTY_NAME, TITLES, hidden


@pytest.fixture(scope="module")
def alice(site):
    with closing(site.client("alice")) as client:
        yield client


@pytest.fixture
def page(work, alice):
    return Page(work, alice)


def refused(answer, status, words):
    assert answer.status_code == status, answer.text
    said = soup(answer).select_one("#refused")
    assert words in said.text, said
    return said


def test_let_in_change_and_end(page, work):
    assert "Nobody but you" in page.get().select_one("#now").text
    answer = page.send("let-in", name="carol", role="viewer")
    assert str(answer.url) == f"{page.at}#now"
    assert answer.history[-1].status_code == 303
    assert page.listed()["carol"].startswith("Carol Cohen carol Viewer by your invitation, since")
    assert "Not in now" in page.listed()["carol"]
    comes(work, "carol")
    assert "In now, since" in page.listed()["carol"]
    page.send("change", name="carol", role="collaborator")
    assert members(work)["carol"]["role"] == "collaborator"
    assert "Collaborator" in page.listed()["carol"]
    page.send("end", name="carol")
    assert page.listed() == {}
    # A second click comes too late and does no harm.
    assert page.send("end", name="carol").status_code == 200


@pytest.mark.parametrize("asked", ["help", "extend", "stop", "delete", "suspend"])
def test_what_a_page_is_for_is_its_first_button(page, asked):
    shown = soup(page.client.get(f"{page.site.url}sessions/tooth/{asked}"))
    first, second = shown.select("main .actions .button")
    assert {"primary", "danger"} & set(first["class"]), first
    assert second["class"] == ["button"]


def test_what_the_roles_can_do_is_said(page):
    said = " ".join(page.get().select_one(".roles").text.split())
    assert "sees the desktop live, and nothing else" in said
    assert "your files, your terminal" in said


def test_all_are_ended_after_a_question(page, work):
    for name in ("carol", "o'neill"):
        let_in(work, name)
    link = page.get().select_one('a[data-key="end-all"]')
    asked = soup(page.client.get(page.site.origin + link["href"]))
    assert "End all memberships?" in asked.text
    assert set(members(work)) == {"carol", "o'neill"}
    page.send("end-all")
    assert members(work) == {}


def test_odd_names_are_whole_and_text(page, work):
    page.send("let-in", name="o'neill", role="viewer")
    let_in(work, "mallory", despite=["ma-1"])
    text = page.client.get(page.at).text
    assert "<script>alert(2)" not in text
    assert NASTY_NAME in page.listed()["mallory"]
    page.send("end", name="mallory")
    page.send("change", name="o'neill", role="collaborator")
    assert members(work)["o'neill"]["role"] == "collaborator"
    with browser(work, "o'neill") as theirs:
        tile = soup(theirs.get(work.url)).select_one("#shared .tile")
        assert "Alice Arnaud" in tile.text
    page.send("end", name="o'neill")
    assert page.listed() == {}


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("nobody-here", 404, "Nobody with that account has logged in"),
        ("alice", 409, "your own session"),
        ("", 400, "This is missing"),
        ("<script>alert(1)</script>", 404, "Nobody with that account has logged in"),
        ("../../users/bob", 404, "Nobody with that account has logged in"),
        ("x" * 300, 400, "at most 255"),
    ],
)
def test_a_refusal_stands_at_its_field(page, work, name, status, words):
    answer = page.send("let-in", name=name, role="viewer")
    said = refused(answer, status, words)
    assert said.find_parent("form")["id"] == "person"
    field = soup(answer).select_one("#person-name")
    assert (field["value"], field["aria-invalid"], field["aria-describedby"]) == (name, "true", "refused")
    assert members(work) == {}


def test_outsiders_watch_only_after_the_owner_was_warned(work, alice):
    run(work, "two", experiments=("ma-1", "ma-2"))
    page = Page(work, alice, "two")
    # Of ma-1's team, and not of ma-2's.
    answer = page.send("let-in", name="o'neill", role="viewer")
    warned = soup(answer)
    assert "Let o'neill watch all the same?" in " ".join(warned.h1.text.split())
    assert [one.code.text for one in warned.select(".warned li")] == ["ma-2"]
    assert members(work, "two") == {}
    form = {one["name"]: one["value"] for one in warned.select("main form input")}
    assert (form["name"], form["role"], form["despite"]) == ("o'neill", "viewer", "ma-2")
    alice.post(f"{page.at}/let-in", data=form, headers={"Origin": work.origin})
    assert members(work, "two")["o'neill"]["role"] == "viewer"
    refused(page.send("change", name="o'neill", role="collaborator"), 403, "can only watch")
    page.send("end", name="o'neill")
    refused(page.send("let-in", name="o'neill", role="collaborator"), 403, "can only watch")


def test_the_team_by_name_and_as_a_whole(work, alice):
    run(work, "team")
    page = Page(work, alice, "team")
    team = page.get().select_one("#team-ma-1")
    listed = [one.text for one in team.select(".people .person bdi")]
    assert "Carol Cohen" in listed
    assert "Bob Berger" not in page.get().select_one("#teams").text  # not of the team
    page.send("team", experiment="ma-1", role="viewer")
    assert set(members(work, "team")) >= {"carol", "o'neill"}
    assert "through the team of ma-1" in page.listed()["carol"]
    said = page.get().select_one("#team-ma-1 .whole").text
    assert "Shared with the whole team, as viewers" in said
    page.send("team", experiment="ma-1", role="")
    assert members(work, "team") == {}
    assert page.send("team", experiment="hg-9", role="viewer").status_code in (200, 404)
    assert members(work, "team") == {}


def test_a_link_is_shown_once_and_is_nowhere_else(page, work):
    answer = page.send("link", role="viewer", hours="8", uses="2")
    made = soup(answer).select_one("#made-link")["value"]
    assert made.startswith(f"{work.url}join#")
    code = made.partition("#")[2]
    assert len(code) > 30
    assert code not in str(answer.url)
    assert page.client.get(str(answer.url)).text.count(code) == 0
    assert "used 0 of 2" in " ".join(page.get().select_one("#links").text.split())
    with browser(work, "carol") as carol:
        joined = carol.post(f"{work.url}join", data=join_form(work, carol, made), headers=origin(work))
        assert joined.status_code == 200
        said = " ".join(soup(joined).select_one("#join").text.split())
        assert f"Alice Arnaud invites you to {TITLES[0]} as viewer." in said
        links = [one["href"] for one in soup(joined).select("#join a.primary")]
        assert links == [f"http://alice.localhost:{work.public}/user/alice/tooth/desktop/"]
        tile = soup(carol.get(work.url)).select_one("#shared .tile")
        assert "Alice Arnaud" in tile.text
        assert [one["data-do"] for one in tile.select("a")] == ["desktop", "leave"]
    assert "by a link" in page.listed()["carol"]
    assert "used 1 of 2" in " ".join(page.get().select_one("#links").text.split())
    page.send("revoke", link=page.get().select_one('#links input[name="link"]')["value"])
    assert page.listed()["carol"]
    with browser(work, "o'neill") as late:
        said = refused(
            late.post(f"{work.url}join", data=join_form(work, late, code), headers=origin(work)),
            404,
            "This link lets nobody in",
        ).text
        guessed = late.post(f"{work.url}join", data=join_form(work, late, "guess"), headers=origin(work))
        assert refused(guessed, 404, "This link lets nobody in").text == said
    for log in ("portal", "proxy", "hub"):
        assert code not in work.log_of(log), log


def origin(site):
    return {"Origin": site.origin}


def join_form(site, client, code):
    return {"_xsrf": hidden(client.get(f"{site.url}join").text, "_xsrf"), "code": code}


def test_a_link_asks_for_what_the_site_allows(page, work):
    answer = page.send("link", role="collaborator", hours="168", uses="5000")
    assert refused(answer, 400, "At most 50").find_parent("form")["id"] == "link"
    form = soup(answer).select_one("#link")
    assert form.select_one("#link-uses")["aria-invalid"] == "true"
    assert form.select_one("input[name=role][checked]")["value"] == "collaborator"
    assert form.select_one("option[selected]")["value"] == "168"
    assert call(work, "alice", "GET", "visa/sharing/alice/tooth").json()["links"] == []


def test_the_join_page_is_there_without_a_login_and_joins_nobody_by_itself(work, alice):
    with closing(work.client(None)) as stranger:
        stranger.follow_redirects = False
        answer = stranger.get(f"{work.url}join")
        assert answer.status_code == 200
        assert soup(answer).select_one("#join a")["href"].endswith("/join/login")
        assert not soup(answer).select("#join form")
        login = stranger.get(f"{work.url}join/login")
        assert "/hub/api/oauth2/authorize?" in login.headers["Location"]
        assert stranger.post(f"{work.url}join", data={"code": "x"}, headers=origin(work)).status_code == 403
    code = call(
        work,
        "alice",
        "POST",
        "visa/sharing/alice/tooth/links",
        json={"role": "viewer", "hours": 1, "uses": 1},
    ).json()["code"]
    with browser(work, "carol") as carol:
        for way in (f"join?code={code}", f"join/{code}", "join"):
            carol.get(work.url + way)
        assert members(work) == {}
        foreign = {"Origin": "http://evil.example.org"}
        answer = carol.post(f"{work.url}join", data=join_form(work, carol, code), headers=foreign)
        assert answer.status_code == 403
        forged = {"_xsrf": "forged", "code": code}
        assert carol.post(f"{work.url}join", data=forged, headers=origin(work)).status_code == 403
    assert members(work) == {}


def test_lock(page, work):
    assert "the others go on as before" in page.get().select_one("#lock").text
    page.send("lock", locked="1")
    assert "The session is locked: when you close" in " ".join(page.get().select_one("#lock").text.split())
    assert call(work, "alice", "GET", "visa/sharing/alice/tooth").json()["locked"] is True
    page.send("lock", locked="0")
    assert call(work, "alice", "GET", "visa/sharing/alice/tooth").json()["locked"] is False


ACTIONS = {
    "let-in": {"name": "bob", "role": "viewer"},
    "change": {"name": "carol", "role": "collaborator"},
    "end": {"name": "carol"},
    "end-all": {},
    "team": {"experiment": "ma-1", "role": "viewer"},
    "link": {"role": "viewer", "hours": "1", "uses": "1"},
    "revoke": {"link": "1"},
    "lock": {"locked": "1"},
    "answer": {"request": "1", "answer": "as-asked"},
}


def test_nobody_else_sees_or_changes_it(page, work):
    let_in(work, "carol")
    with browser(work, "carol") as carol:
        theirs = Page(work, carol)
        for path in ("", "/now", "/end-all"):
            assert carol.get(theirs.at + path).status_code == 404
        for action, form in ACTIONS.items():
            assert theirs.send(action, **form).status_code == 404, action
        assert carol.get(f"{work.url}sessions/tooth/help").status_code == 404
    now = call(work, "alice", "GET", "visa/sharing/alice/tooth").json()
    assert [one["role"] for one in now["members"]] == ["viewer"]
    assert (now["links"], now["locked"], now["teams"][0]["role"]) == ([], False, "")


def test_forged_forms_change_nothing(page, work):
    let_in(work, "carol")
    foreign = [f"http://alice.localhost:{work.public}", "http://evil.example.org", "null"]
    for action, form in ACTIONS.items():
        for source in foreign:
            assert page.send(action, {"Origin": source}, **form).status_code == 403, (action, source)
        assert page.send(action, **(form | {"_xsrf": "forged"})).status_code == 403, action
        assert page.send(action, **(form | {"extra": "1"})).status_code == 400, action
        # A GET asks or leads back, and does nothing.
        assert page.client.get(f"{page.at}/{action}", params=form).status_code == 200, action
    now = call(work, "alice", "GET", "visa/sharing/alice/tooth").json()
    assert [(one["name"], one["role"]) for one in now["members"]] == [("carol", "viewer")]
    assert (now["links"], now["locked"], now["teams"][0]["role"]) == ([], False, "")


def test_a_stranger_gets_nothing(work):
    with closing(work.client(None)) as stranger:
        stranger.follow_redirects = False
        for path in ("sessions/tooth/sharing", "history", "sessions/tooth/help", "shared/alice/tooth/leave"):
            assert stranger.get(work.url + path).status_code == 302
        for path in ("sessions/tooth/sharing/now", "notices"):
            assert stranger.get(work.url + path).status_code == 401
        for path in ("sessions/tooth/sharing/end-all", "shared/alice/tooth/leave", "notices/1/seen"):
            assert stranger.post(work.url + path, headers=origin(work)).status_code == 403


def test_leaving(work):
    let_in(work, "o'neill", "collaborator")
    with browser(work, "o'neill") as theirs:
        tile = soup(theirs.get(work.url)).select_one("#shared .tile")
        assert [one["data-do"] for one in tile.select("a")] == ["desktop", "lab", "leave"]
        leave = tile.select_one("a[data-do=leave]")["href"]
        asked = soup(theirs.get(work.origin + leave))
        assert "Leave this session?" in asked.text
        assert "o'neill" in members(work)
        form = {"_xsrf": hidden(str(asked), "_xsrf")}
        left = theirs.post(work.origin + leave, data=form, headers=origin(work))
        assert left.status_code == 200
        assert soup(left).select_one("#shared").has_attr("hidden")
        assert theirs.get(work.origin + leave).status_code == 404
    assert members(work) == {}
    with browser(work, "bob") as bob:
        assert bob.get(f"{work.url}shared/alice/tooth/leave").status_code == 404


def test_the_hub_is_told_the_browsers_address(work):
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.5")
    with closing(work.client("alice", transport=elsewhere)) as client:
        # What the browser says of itself does not count; the proxy's word does.
        Page(work, client).send("let-in", {"X-Forwarded-For": "203.0.113.9"}, name="carol", role="viewer")
    events = call(work, "alice", "GET", "visa/history?session=alice/tooth").json()["events"]
    granted = next(one for one in events if one["what"] == "member-granted")
    assert granted["address"] == "127.0.0.5"


def test_the_page_asks_again_for_what_changed_alone(page, work):
    path, headers = f"{page.at}/now", {"Sec-Fetch-Mode": "cors", "X-XSRFToken": soup_xsrf(page)}
    first = page.client.get(path, headers=headers)
    assert first.status_code == 200
    again = page.client.get(path, headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.text) == (304, "")
    let_in(work, "carol")
    changed = page.client.get(path, headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert "Carol Cohen" in changed.text


def soup_xsrf(page):
    return page.get().body["data-xsrf"]


def test_no_form_reaches_the_access_log(page, work):
    page.send("let-in", name="nobody-of-that-name", role="viewer")

    def logged():
        lines = work.log_of("portal").splitlines()
        return [one for one in lines if '"POST"' in one and "sharing/let-in" in one and ": 404" in one]

    until(logged, "the log has it")
    assert "nobody-of-that-name" not in work.log_of("portal")
