"""All that must be refused, by each way in, at a real hub: a 4xx that names the field, nothing started."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from spawner_support import BAD_OPTIONS, GOOD_OPTIONS

REFUSED = [
    *BAD_OPTIONS,
    ({"profile": "nothing"}, "profile"),
    ({"profile": "staffonly"}, "profile"),
    ({"plan": "huge"}, "plan"),
    ({"experiments": ["B-2"]}, "experiments"),
    ({"experiments": ["Z-9"]}, "experiments"),
    ({"experiments": []}, "experiments"),
    ({"datasets": ["B-2-scan"]}, "datasets"),
    ({"lifetime_hours": 5}, "lifetime_hours"),
    ({"plan": "short", "lifetime_hours": 3}, "lifetime_hours"),
]


@pytest.fixture(autouse=True)
def nothing_started(hub):
    """After each test: no process, no mount, no new row, nobody's session."""
    yield
    assert hub.processes() == set()
    assert hub.mounts() == []
    assert hub.names() == set()
    assert not list(hub.marks.glob("*.plan"))


@pytest.fixture(scope="module")
def browser(hub):
    browser = hub.login("alice")
    yield browser
    browser.close()


def said(answer):
    """What a refusal says, from the hub's JSON or from its page."""
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()["message"]
    found = re.search(r"alert-danger[^>]*>(?:\s|<[^>]*>|Error:)*([^<]*)", answer.text)
    assert found, answer.text
    return found[1].strip()


def is_refusal(answer, field):
    words = said(answer)
    assert 400 <= answer.status_code < 500, (answer.status_code, words)
    assert words.startswith(f"{field}: "), words
    assert len(words) < 350
    return words


@pytest.mark.parametrize(("changes", "field"), REFUSED)
def test_by_rest(hub, changes, field):
    is_refusal(hub.start_session("bad", GOOD_OPTIONS | changes), field)


@pytest.mark.parametrize("missing", ["profile", "plan"])
def test_by_rest_with_a_field_missing(hub, missing):
    options = {k: v for k, v in GOOD_OPTIONS.items() if k != missing}
    assert "is missing" in is_refusal(hub.start_session("bad", options), missing)


def test_by_rest_without_options(hub):
    is_refusal(hub.api("POST", "users/alice/servers/bad", "alice"), "profile")


def as_form(changes):
    """The fields of a form, where they can be sent by one at all."""
    fields = []
    for name, value in (GOOD_OPTIONS | changes).items():
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, str | int | float) or isinstance(one, bool):
                return None
            fields.append((name, str(one)))
    return fields


# A form cannot say "8" and 8 apart, nor send an empty value apart from none.
BY_FORM = [
    (changes, field)
    for changes, field in REFUSED
    if as_form(changes) and changes not in ({"lifetime_hours": "8"}, {"experiments": "A-1"})
]
BY_FORM = [(c, f) for c, f in BY_FORM if all(v not in ("", [""], []) for v in c.values())]
BY_FORM = [
    (c, f)
    for c, f in BY_FORM
    if c not in ({"profile": ["general"]}, {"interface": ["lab"]}, {"keyboard": ["fr"]})
]


def post_form(browser, fields, name="bad"):
    content = urlencode([*fields, ("_xsrf", browser.cookies["_xsrf"])])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return browser.post(f"/hub/spawn/alice/{name}", content=content, headers=headers)


@pytest.mark.parametrize(("changes", "field"), BY_FORM)
def test_by_form(hub, browser, changes, field):
    is_refusal(post_form(browser, as_form(changes)), field)


def test_by_form_with_a_field_twice(hub, browser):
    is_refusal(post_form(browser, [*as_form({}), ("plan", "gpu")]), "plan")


def test_by_form_with_a_file(hub, browser):
    fields = {name: value for name, value in as_form({})} | {"_xsrf": browser.cookies["_xsrf"]}
    answer = browser.post("/hub/spawn/alice/bad", data=fields, files={"evil": ("x", b"data")})
    is_refusal(answer, "evil_file")


def test_a_form_without_its_token_is_refused(hub, browser):
    answer = browser.post("/hub/spawn/alice/bad", data=dict(as_form({})))
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/hub/spawn", "/hub/spawn/alice", "/hub/spawn/alice/bad"])
@pytest.mark.parametrize("prefix", ["opt-", ""])
@pytest.mark.parametrize("changes", [{}, *[changes for changes, _ in BY_FORM[::6]]])
def test_a_link_starts_nothing_whatever_it_says(hub, browser, path, prefix, changes):
    query = urlencode([(prefix + name, value) for name, value in as_form(changes)])
    answer = browser.get(f"{path}?{query}")
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["location"])
    assert target.path == "/services/visa/new"
    filled = parse_qs(target.query)
    assert set(filled) <= set(GOOD_OPTIONS) | {"name", "image"}
    assert all(len(value) <= 200 for values in filled.values() for value in values)
    if not changes:
        assert filled["profile"] == ["general"]
        assert filled["experiments"] == ["A-1"]


def test_the_unnamed_server_is_refused_in_words(hub, browser):
    answer = hub.api("POST", "users/alice/server", "alice", json=GOOD_OPTIONS)
    assert "a name of its own" in is_refusal(answer, "name")
    content = urlencode([*as_form({}), ("_xsrf", browser.cookies["_xsrf"])])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    is_refusal(browser.post("/hub/spawn", content=content, headers=headers), "name")
    assert hub.session("") is None


@pytest.mark.parametrize("place", ["experiment", "home", "link"])
def test_a_directory_that_cannot_be_trusted(hub, place):
    raw = hub.root / "visitor/a1/RAW_DATA"
    if place == "experiment":
        raw.parent.chmod(0o777)
    elif place == "home":
        (hub.root / "home/alice").rename(hub.root / "home/elsewhere")
    else:
        raw.rename(raw.parent / "moved")
        raw.symlink_to(raw.parent / "moved")
    try:
        words = is_refusal(
            hub.start_session("bad", GOOD_OPTIONS), "home" if place == "home" else "experiments"
        )
        assert ("A-1" in words) == (place != "home")
        assert str(hub.root) not in words
        assert str(hub.root) in hub.log.read_text().rpartition("refusing to bind")[2]
    finally:
        raw.parent.chmod(0o755)
        if place == "home":
            (hub.root / "home/elsewhere").rename(hub.root / "home/alice")
        elif place == "link":
            raw.unlink()
            (raw.parent / "moved").rename(raw)


def test_no_room_is_said_and_leaves_no_row(hub):
    answer = hub.start_session("bad", GOOD_OPTIONS | {"plan": "gpu"})
    assert answer.status_code == 503
    assert said(answer) == "plan: there is no room for this plan now"


def test_a_row_made_before_stays_and_keeps_its_good_options(hub):
    made = hub.api("PUT", "users/alice/servers/kept", "alice", json={"display_name": "Kept"})
    assert made.status_code == 201
    is_refusal(hub.start_session("kept", GOOD_OPTIONS | {"plan": "huge"}), "plan")
    session = hub.session("kept")
    assert (session["state"], session["plan"]) == ("failed", "")
    assert "has no plan huge" in session["words"]
    is_refusal(hub.api("POST", "users/alice/servers/kept", "alice"), "profile")
    hub.stop_session("kept")


def test_messages_are_of_one_line_in_the_log_too(hub):
    hub.start_session("bad", GOOD_OPTIONS | {"x\n[I 2026] forged \x1b[31mline": 1})
    assert "\n[I 2026] forged" not in hub.log.read_text()
    assert "\x1b[31mline" not in hub.log.read_text()
