"""JupyterHub's own administration, and how far an administrator gets with JupyterHub's own API."""

import re
from contextlib import closing

import httpx
import pytest
from desk_support import Person
from portal_pictures import visiting

SHARE = "custom:visa:control!server=alice/{name}"


@pytest.fixture(scope="module")
def session(site):
    """A running session of alice's."""
    site.clear("alice")
    yield Person(site, "alice").start("tooth")
    site.clear("alice")


@pytest.fixture(scope="module")
def adam(site):
    """JupyterHub's API as the administrator."""
    return Person(site, "adam").http


def test_an_administrator_is_no_hub_admin(site, adam):
    me = adam.get("user").json()
    assert me["name"] == "adam"
    assert me["admin"] is False
    held = set(me["scopes"])
    assert "admin-ui" in held
    over_others = {scope for scope in held if not scope.endswith("!user=adam")}
    powers = ("admin:", "tokens", "shares", "access:servers", "proxy", "groups", "users", "custom:")
    assert [scope for scope in over_others if scope.startswith(powers)] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "users/alice/tokens", {"note": "let me be you"}),
        ("GET", "users/alice/tokens", None),
        ("POST", "shares/alice/{name}", {"user": "adam", "scopes": [SHARE]}),
        ("POST", "shares/alice/{name}", {"user": "adam"}),
        ("POST", "share-codes/alice/{name}", {"scopes": [SHARE]}),
        ("PATCH", "users/adam", {"admin": True}),
        ("PATCH", "users/alice", {"name": "alice2"}),
        ("PATCH", "users/alice", {"auth_state": {}}),
        ("POST", "groups/experiment-ma-1/users", {"users": ["adam"]}),
        ("POST", "groups/role-helpdesk/users", {"users": ["adam"]}),
        ("POST", "users/alice/servers/{name}", {}),
        # Not without a line in the audit log.
        ("DELETE", "users/alice/servers/{name}", None),
        ("POST", "services/mine", {"roles": ["admin"]}),
        ("PATCH", "proxy", {"api_url": "http://127.0.0.1:9"}),
    ],
)
def test_what_would_lead_into_a_session_is_refused(site, session, adam, method, path, body):
    body = body and {
        key: [one.format(name=session) for one in value] if key == "scopes" else value
        for key, value in body.items()
    }
    answer = adam.request(method, path.format(name=session), json=body)
    # 404: one may not even know. 400: the groups are the facility's.
    assert answer.status_code in (400, 403, 404, 405), answer.text
    assert site.rest("GET", "users/adam").json()["groups"] == ["role-administrator"]
    assert site.sessions("alice")[session]["ready"]


def test_what_the_login_keeps_is_not_shown(adam, session):
    about = adam.get("users/alice").json()
    assert about["name"] == "alice"
    assert about.get("auth_state") is None
    assert all(not server.get("state") for server in about["servers"].values())


def test_the_hubs_page_has_our_look_and_no_way_in(site, session, chromium):
    with visiting(site, chromium, "adam") as visitor:
        page = visitor.go("admin")
        page.get_by_role("link", name="Users and groups").click()
        page.get_by_test_id("user-row-alice").first.wait_for()
        for name in ("Access Server", "Spawn Page", "Start All", "Shutdown Hub", "Add Users", "Stop Server"):
            # Not there, or at least not to be seen.
            assert page.get_by_role("button", name=name).count() == 0, name
        visitor.picture("hub-admin", full=False)
        page.get_by_role("link", name="Manage Groups").click()
        page.get_by_text("experiment-ma-1").wait_for()
        assert page.get_by_role("button", name="New Group").count() == 0
        page.get_by_role("link", name="Audit log").click()
        page.get_by_role("heading", name="Audit log").wait_for()


def test_an_administrator_gets_nothing_of_a_session(site, adam, chromium):
    """Of a real session, with an administrator's own token and with their browser."""
    heidi = Person(site, "heidi")
    name = heidi.start("real", experiments=[], profile="real", interface="lab")
    assert heidi.state(name) == "running"
    address = f"http://heidi.localhost:{site.public}/user/heidi/{name}/"
    own = httpx.get(f"{address}visa/session", headers=heidi.http.headers, timeout=30)
    assert (own.status_code, own.json()["owner"]) == (200, "heidi")
    for path in ("visa/session", "api/contents", "api/me", "lab", "desktop/", "api/terminals", "static/lab"):
        answer = httpx.get(address + path, headers=adam.headers, timeout=30)
        assert answer.status_code in (302, 401, 403, 404), (path, answer.status_code)
        assert not {"experiments", "content", "terminals"} & set(re.findall(r'"(\w+)":', answer.text)), path
    with visiting(site, chromium, "adam") as visitor:
        visitor.page.goto(address + "lab")
        assert "somebody else's" in visitor.page.inner_text("main")
        visitor.complaints = [one for one in visitor.complaints if "403" not in one]
    site.clear("heidi")


def test_others_see_none_of_it(site):
    for name in ("alice", "heidi", "ines"):
        with closing(site.client(name)) as person:
            assert person.get(f"{site.hub}admin").status_code in (403, 404)
            assert "Users and groups" not in person.get(f"{site.hub}token").text
