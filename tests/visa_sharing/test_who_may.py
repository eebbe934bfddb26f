"""Every call that the hub has of ours, by everybody who could try it: as the table here says, or refused."""

import json
import subprocess
import sys

import pytest

OWNER, MEMBER, OTHER, STAFF, ADMIN, SESSION, VISITOR, SERVICE, NOBODY = (
    "owner", "member", "another person", "helpdesk", "administrator", "the session", "a session's visitor",
    "a service", "nobody",
)  # fmt: skip
PEOPLE = {OWNER, MEMBER, OTHER, STAFF, ADMIN}
EVERYBODY = {*PEOPLE, SESSION, VISITOR, SERVICE, NOBODY}

S = "/api/visa/sharing/([^/]+)/([^/]+)"
#: Who may call what, and a body that does nothing when it gets through by mistake. A call that is not here
#: fails the test: whoever adds one says who may.
CALLS = {
    ("/api/visa/line", "GET"): {SESSION},
    ("/api/visa/entries", "POST"): {SESSION},
    (S, "GET"): {OWNER},
    (S + "/members", "POST"): {OWNER},
    (S + "/members", "DELETE"): {OWNER, SESSION},
    (S + "/members/([^/]+)", "PATCH"): {OWNER},
    (S + "/members/([^/]+)", "DELETE"): {OWNER, SESSION, MEMBER, ADMIN},
    (S + "/teams/([^/]+)", "PUT"): {OWNER},
    (S + "/teams/([^/]+)", "DELETE"): {OWNER},
    (S + "/links", "POST"): {OWNER},
    (S + r"/links/(\d{1,9})", "DELETE"): {OWNER},
    (S + "/lock", "PUT"): {OWNER},
    ("/api/visa/join", "POST"): PEOPLE,
    ("/api/visa/shared", "GET"): PEOPLE,
    ("/api/visa/mine", "GET"): PEOPLE,
    ("/api/visa/pulse", "GET"): PEOPLE,
    # What a session was started with: its owner and staff. What was used and is there: of what one may see.
    ("/api/visa/sessions/([^/]+)/([^/]+)/passport", "GET"): {OWNER, STAFF, ADMIN},
    ("/api/visa/used", "GET"): PEOPLE,
    ("/api/visa/software", "GET"): PEOPLE,
}
SUPPORT, ADMINISTRATION = "/api/visa/support/([^/]+)/([^/]+)", "/api/visa/admin"
#: Those of support and administration; what each does for whoever may is tested beside this.
STAFF_CALLS = {
    # Whoever may help nowhere finds nothing.
    ("/api/visa/support", "GET"): PEOPLE,
    (r"/api/visa/support/help/(\d+)/(take|close)", "POST"): {STAFF, ADMIN},
    (SUPPORT, "GET"): {STAFF, ADMIN},
    (SUPPORT + "/ask", "POST"): {STAFF, ADMIN},
    (SUPPORT + "/ask", "DELETE"): {STAFF, ADMIN},
    (SUPPORT + "/second", "POST"): {STAFF, ADMIN},
    (S + "/answers", "POST"): {OWNER, SESSION},
    (S + "/help", "POST"): {OWNER},
    (S + "/help", "DELETE"): {OWNER},
    ("/api/visa/notices", "GET"): PEOPLE,
    (r"/api/visa/notices/(\d+)/seen", "POST"): {*PEOPLE, SESSION},
    # Whoever has nothing to do with a session reads nothing of it.
    ("/api/visa/history", "GET"): PEOPLE,
    ("/api/visa/audit", "GET"): {ADMIN},
    (ADMINISTRATION + "/sessions", "GET"): {ADMIN},
    (ADMINISTRATION + "/sessions/([^/]+)/([^/]+)", "DELETE"): {ADMIN},
    (ADMINISTRATION + "/sessions/([^/]+)/([^/]+)/message", "POST"): {ADMIN},
    (ADMINISTRATION + "/nodes", "GET"): {ADMIN},
    (ADMINISTRATION + "/nodes/([^/]+)/([^/]+)", "PUT"): {ADMIN},
    (ADMINISTRATION + "/announcements", "GET"): {ADMIN},
    (ADMINISTRATION + "/announcements", "POST"): {ADMIN},
    (ADMINISTRATION + r"/announcements/(\d+)", "DELETE"): {ADMIN},
}
ALL_CALLS = CALLS | STAFF_CALLS
METHODS = ("get", "post", "put", "patch", "delete")


def registered():
    """The paths and methods of all that joins the hub, read from the running code."""
    listing = (
        "import json; from visa_sharing.hub import HANDLERS; from tornado.web import RequestHandler as R;"
        "print(json.dumps([(p, m) for p, h in HANDLERS"
        f" for m in {METHODS!r} if getattr(h, m) is not getattr(R, m)]))"
    )
    run = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return {(path, method.upper()) for path, method in json.loads(run.stdout)}


def test_every_call_has_a_row():
    calls = registered()
    assert not calls - set(ALL_CALLS), "say here who may"
    assert calls == set(ALL_CALLS)


@pytest.fixture(scope="module")
def callers(hub):
    """A token of each kind."""
    for name in ("bob", "carol", "heidi", "adam"):
        hub.token(name)
    session = hub.run()
    hub.let_in("bob", "collaborator")
    return {
        OWNER: hub.token("alice"),
        MEMBER: hub.token("bob"),
        OTHER: hub.token("frank"),
        STAFF: hub.token("heidi"),
        ADMIN: hub.token("adam"),
        SESSION: session,
        VISITOR: visitors_token(hub, "alice"),
        SERVICE: hub.admin_token,
        NOBODY: "0" * 32,
    }


def visitors_token(hub, name):
    """What a session gets of the owner's own browser by the hub's OAuth login, and could misuse."""
    from urllib.parse import parse_qs, urlsplit

    browser = hub.login(name)
    client = f"jupyterhub-user-{name}-tooth"
    answer = browser.get(
        "/hub/api/oauth2/authorize",
        params={
            "client_id": client,
            "response_type": "code",
            "redirect_uri": f"/user/{name}/tooth/oauth_callback",
            "state": "x",
        },
    )
    assert answer.status_code == 302, answer.text[:500]
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    token = hub.http.post(
        f"{hub.hub_url}/hub/api/oauth2/token",
        data={
            "client_id": client,
            "client_secret": hub.session_token(),
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"/user/{name}/tooth/oauth_callback",
        },
    )
    browser.close()
    return token.json()["access_token"]


def address(path):
    for pattern, value in (
        ("([^/]+)/([^/]+)", "alice/tooth"),
        ("members/([^/]+)", "members/bob"),
        ("teams/([^/]+)", "teams/A-1"),
        (r"(\d{1,9})", "999"),
        (r"(\d+)", "999"),
        ("(take|close)", "take"),
    ):
        path = path.replace(pattern, value)
    return path.removeprefix("/api/")


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: f"{call[1]} {address(call[0])}")
def test_nobody_else_may(hub, callers, call):
    """A body of nonsense: whoever may is told what is wrong with it, whoever may not is refused before."""
    path, method = call
    for caller in sorted(EVERYBODY - ALL_CALLS[call]):
        answer = hub.api(method, address(path), callers[caller], json={"nonsense": 1})
        assert answer.status_code in (401, 403, 404), (caller, answer.status_code, answer.text)
        assert "nonsense" not in answer.text, (caller, answer.text)
    assert "bob" in hub.members()


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call[1] in ("POST", "PUT", "PATCH")], ids=lambda call: address(call[0])
)
def test_who_may_is_heard(hub, callers, call):
    path, method = call
    for caller in sorted(CALLS[call]):
        answer = hub.api(method, address(path), callers[caller], json={"nonsense": 1})
        assert answer.status_code == 400, (caller, answer.status_code, answer.text)


def test_a_narrow_token_of_the_owner_shares_nothing(hub, callers):
    narrow = hub.api("POST", "users/alice/tokens", json={"scopes": ["read:users!user"]}).json()["token"]
    body = {"name": "frank", "role": "collaborator"}
    assert hub.api("POST", "visa/sharing/alice/tooth/members", narrow, json=body).status_code == 403
    assert hub.api("GET", "visa/sharing/alice/tooth", narrow).status_code == 403


def test_a_token_that_calls_itself_a_servers_is_none(hub, callers):
    note = {"note": "Server at /user/alice/tooth/"}
    token = hub.api("POST", "users/alice/tokens", json=note).json()["token"]
    for method, path in [("GET", "visa/line"), ("DELETE", "visa/sharing/alice/tooth/members")]:
        assert hub.api(method, path, token).status_code == 403
    assert hub.api("GET", "visa/sharing/alice/tooth", token).status_code == 403


def test_one_session_does_not_speak_for_another(hub, callers):
    token = hub.run("other", "frank", experiments=["A-1"])
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", token).status_code == 404
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members", token).status_code == 404
    assert "bob" in hub.members()


def test_a_page_of_another_origin_cannot_share_with_the_owners_cookie(hub, callers):
    browser = hub.login("alice")
    path = "/hub/api/visa/sharing/alice/tooth/members"
    body = {"name": "frank", "role": "viewer"}
    assert browser.post(path, json=body).status_code == 403
    assert browser.post(path, content=json.dumps(body)).status_code == 403
    headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
    assert browser.post(path, json=body, headers=headers).status_code == 201
    assert browser.delete(path + "/frank", headers=headers).status_code == 204
    browser.close()


#: Tokens of the next test, made once.
NARROW: dict[str, str] = {}


@pytest.mark.parametrize("call", ALL_CALLS, ids=lambda call: f"{call[1]} {address(call[0])}")
def test_a_token_that_only_says_who_somebody_is_opens_nothing(hub, callers, call):
    """As any other service of the hub gets one of whoever logs in there."""
    path, method = call
    for name in ("alice", "bob", "heidi", "adam"):
        if (token := NARROW.get(name)) is None:
            made = hub.api("POST", f"users/{name}/tokens", json={"scopes": ["read:users!user"]})
            token = NARROW[name] = made.json()["token"]
        answer = hub.api(method, address(path), token, json={"nonsense": 1})
        assert answer.status_code in (403, 404), (name, answer.status_code, answer.text)
        assert "nonsense" not in answer.text, (name, answer.text)


def test_nobody_writes_another_address_into_the_log(hub, callers):
    """What the browser itself says of where it is counts for nothing; a proxy's word is the last one."""
    body = {"role": "viewer", "hours": 1, "uses": 1}
    told = {"X-Real-Ip": "203.0.113.66", "X-Forwarded-For": "203.0.113.77, 192.0.2.5"}
    answer = hub.http.post(
        f"{hub.hub_url}/hub/api/visa/sharing/alice/tooth/links",
        json=body,
        headers=told | {"Authorization": f"token {callers[OWNER]}"},
    )
    assert answer.status_code == 201, answer.text
    assert hub.events(what="link-made")[-1]["address"] == "192.0.2.5"
