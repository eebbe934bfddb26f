"""Let in, change, end: at a real hub, by its calls and by the hub's own API; what the session is told."""

import pytest
from sharing_hub import ACCOUNTS, a_sharing_hub

VIEW, CONTROL, ACCESS = (
    f"{scope}!server=alice/tooth" for scope in ("custom:visa:view", "custom:visa:control", "access:servers")
)


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "carol", "erin"):
        hub.token(name)
    return hub.run()


@pytest.fixture
def line(hub, token):
    line = hub.line(token)
    line.until(lambda table: True)
    yield line
    line.close()
    hub.tell_accounts(ACCOUNTS)
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice").status_code == 204
    for name in list(hub.shares()):
        hub.api("PATCH", "shares/alice/tooth", json={"user": name} if name else {"group": "experiment-A-1"})
    assert hub.shares() == {}


def test_let_in_change_and_end(hub, line):
    answer = hub.let_in("bob", "viewer")
    assert answer.status_code == 201, answer.text
    member = answer.json()
    assert (member["name"], member["full_name"], member["role"]) == ("bob", "Bob B", "viewer")
    assert (member["way"], member["granted_by"], member["until"], member["refused"]) == (
        "person", "alice", None, ""
    )  # fmt: skip
    line.roles(bob="viewer")
    assert hub.shares() == {"bob": sorted([VIEW, ACCESS])}

    answer = hub.api("PATCH", "visa/sharing/alice/tooth/members/bob", "alice", json={"role": "collaborator"})
    assert answer.status_code == 200 and answer.json()["role"] == "collaborator"
    line.roles(bob="collaborator")
    assert hub.shares() == {"bob": sorted([CONTROL, ACCESS])}
    answer = hub.api("PATCH", "visa/sharing/alice/tooth/members/bob", "alice", json={"role": "viewer"})
    line.roles(bob="viewer")
    # Down means down: what was granted before is not left beside it.
    assert hub.shares() == {"bob": sorted([VIEW, ACCESS])}

    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice").status_code == 204
    line.roles()
    assert hub.shares() == {} and hub.members() == {}
    assert hub.let_in("bob", "collaborator").status_code == 201
    line.roles(bob="collaborator")


def test_every_step_is_in_the_log_with_who_and_from_where(hub, line):
    before = len(hub.events())
    hub.let_in("bob")
    hub.api("PATCH", "visa/sharing/alice/tooth/members/bob", "alice", json={"role": "collaborator"})
    hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice")
    told = [
        (event["what"], event["who"], event["whom"], event["role"], event["address"])
        for event in hub.events()[before:]
    ]
    assert told == [
        ("member-granted", "alice", "bob", "viewer", "127.0.0.1"),
        ("member-changed", "alice", "bob", "collaborator", "127.0.0.1"),
        ("member-ended", "alice", "bob", "collaborator", "127.0.0.1"),
    ]


def test_the_browsers_address_is_what_the_portal_passes_on(hub, line):
    headers = {"Authorization": f"token {hub.token('alice')}", "X-Forwarded-For": "192.0.2.7"}
    hub.http.post(
        f"{hub.hub_url}/hub/api/visa/sharing/alice/tooth/members",
        headers=headers,
        json={"name": "bob", "role": "viewer"},
    )
    assert hub.events()[-1]["address"] == "192.0.2.7"


def test_end_all_ends_every_way_in(hub, line):
    for name in ("bob", "erin"):
        hub.let_in(name)
    hub.api("PUT", "visa/sharing/alice/tooth/teams/A-1", "alice", json={"role": "viewer"})
    made = {"role": "viewer", "hours": 1, "uses": 3}
    hub.api("POST", "visa/sharing/alice/tooth/links", "alice", json=made)
    line.roles(bob="viewer", erin="viewer")
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice").status_code == 204
    line.roles()
    sharing = hub.api("GET", "visa/sharing/alice/tooth", "alice").json()
    assert sharing["members"] == sharing["links"] == []
    assert {team["role"] for team in sharing["teams"]} == {""}


def test_a_session_ends_members_for_its_owner_and_cannot_let_anybody_in(hub, line, token):
    hub.let_in("bob")
    line.roles(bob="viewer")
    body = {"name": "carol", "role": "viewer"}
    assert hub.api("POST", "visa/sharing/alice/tooth/members", token, json=body).status_code == 403
    answer = hub.api("PATCH", "visa/sharing/alice/tooth/members/bob", token, json={"role": "collaborator"})
    assert answer.status_code == 403
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", token).status_code == 204
    line.roles()
    assert "inside the session" in hub.events(what="member-ended")[-1]["details"]["why"]
    # What the session says of where somebody is could be made up by whoever works in it.
    hub.let_in("bob")
    told = {"Authorization": f"token {token}", "X-Forwarded-For": "192.0.2.7", "X-Real-Ip": "192.0.2.8"}
    hub.http.delete(f"{hub.hub_url}/hub/api/visa/sharing/alice/tooth/members/bob", headers=told)
    ended = hub.events(what="member-ended", whom="bob")[-1]
    assert (ended["who"], ended["address"]) == ("alice", "the session")


def test_a_member_leaves_and_nobody_else_ends_them(hub, line):
    hub.let_in("bob")
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "erin").status_code == 404
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "heidi").status_code == 404
    assert "bob" in hub.members()
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "bob").status_code == 204
    line.roles()
    hub.let_in("bob")
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "adam").status_code == 204
    assert hub.events(what="member-ended")[-1]["who"] == "adam"
    line.roles()


# Rights --------------------------------------------------------------------------------------------------
def test_who_may_not_see_the_data_is_not_let_in(hub, line):
    answer = hub.let_in("carol")
    assert answer.status_code == 403 and answer.json()["message"].startswith("name: Carol C may not see A-1")
    assert hub.shares() == {}
    refusal = hub.events(what="member-refused")[-1]
    assert (refusal["who"], refusal["whom"]) == ("alice", "carol")


def test_who_loses_the_right_loses_the_share(hub, line):
    hub.let_in("bob", "collaborator")
    line.roles(bob="collaborator")
    body = {"users": ["bob"]}
    assert hub.api("DELETE", "groups/experiment-A-1/users", json=body).status_code == 200
    line.roles()
    assert hub.shares() == {}
    ended = hub.events(what="member-ended")[-1]
    assert (ended["whom"], ended["who"], ended["details"]["why"]) == ("bob", "", "may not see A-1")
    assert hub.let_in("bob").status_code == 403
    assert hub.api("POST", "groups/experiment-A-1/users", json=body).status_code == 200
    assert hub.let_in("bob").status_code == 201
    line.roles(bob="viewer")


def test_an_account_that_is_blocked_here_or_unknown_is_not_let_in(hub, line):
    assert hub.let_in("nobody").status_code == 404
    assert hub.let_in("alice").status_code == 409


def test_an_outsider_watches_where_the_site_and_the_owner_agree():
    with a_sharing_hub({"outsiders_may_watch": True}) as hub:
        hub.token("carol")
        line = hub.line(hub.run())
        answer = hub.let_in("carol")
        assert (answer.status_code, answer.json()["experiments"]) == (409, ["A-1"])
        assert answer.json()["message"].startswith("despite: ")
        assert hub.let_in("carol", despite=["B-2"]).status_code == 409
        assert hub.let_in("carol", "collaborator", despite=["A-1"]).status_code == 403
        assert hub.let_in("carol", despite=["A-1"]).status_code == 201
        line.roles(carol="viewer")
        raised = {"role": "collaborator"}
        path = "visa/sharing/alice/tooth/members/carol"
        assert hub.api("PATCH", path, "alice", json=raised).status_code == 403
        # By the hub's own API she is made more than a watcher can be, and is a watcher again.
        scopes = {"user": "carol", "scopes": [CONTROL, ACCESS]}
        assert hub.api("POST", "shares/alice/tooth", json=scopes).status_code == 200
        hub.until(lambda: hub.shares()["carol"] == sorted([VIEW, ACCESS]), 5, "a watcher again")
        assert hub.members()["carol"]["role"] == "viewer"
        line.close()


# The hub's own API ---------------------------------------------------------------------------------------
def test_a_share_of_the_hubs_api_lets_nobody_in_without_the_owner(hub, line):
    for name in ("bob", "erin"):
        hub.api("POST", "shares/alice/tooth", json={"user": name, "scopes": [CONTROL, ACCESS]})
    hub.until(lambda: hub.shares() == {}, 5, "both shares are gone")
    assert hub.events(what="member-ended")[-1]["details"]["why"] == "was not let in by the owner"
    hub.let_in("bob", "viewer")
    line.roles(bob="viewer")
    hub.api("POST", "shares/alice/tooth", json={"user": "bob", "scopes": [CONTROL, ACCESS]})
    hub.until(lambda: hub.shares()["bob"] == sorted([VIEW, ACCESS]), 5, "a watcher again")
    assert hub.members()["bob"]["role"] == "viewer"


def test_what_the_hubs_api_takes_away_is_gone(hub, line):
    hub.let_in("bob", "collaborator")
    line.roles(bob="collaborator")
    hub.api("PATCH", "shares/alice/tooth", json={"user": "bob", "scopes": [CONTROL]})
    line.roles()


def test_where_the_site_lets_it_a_share_of_the_hubs_api_counts_within_the_same_rules():
    with a_sharing_hub({"hub_shares": True}) as hub:
        hub.token("bob"), hub.token("carol")
        line = hub.line(hub.run())
        for name in ("bob", "carol"):
            hub.api("POST", "shares/alice/tooth", json={"user": name, "scopes": [VIEW, ACCESS]})
        line.roles(bob="viewer")
        hub.until(lambda: set(hub.shares()) == {"bob"}, 5, "carol's share is gone")
        assert hub.members()["bob"]["way"] == "hub"
        whats = [(event["what"], event["whom"]) for event in hub.events()[-3:]]
        assert sorted(whats) == [
            ("member-ended", "carol"),
            ("member-granted", "bob"),
            ("member-granted", "carol"),
        ]
        hub.api("PATCH", "shares/alice/tooth", json={"user": "bob"})
        line.roles()
        assert hub.events(what="member-ended")[-1]["details"]["why"] == "by the hub's own API"
        line.close()


def test_a_share_without_a_role_of_ours_lets_nobody_in(hub, line):
    hub.api("POST", "shares/alice/tooth", json={"user": "bob"})
    hub.let_in("erin")
    line.roles(erin="viewer")
    assert set(hub.shares()) == {"bob", "erin"}


def test_a_group_share_lets_nobody_in(hub, line):
    body = {"group": "experiment-A-1", "scopes": [CONTROL, ACCESS]}
    assert hub.api("POST", "shares/alice/tooth", json=body).status_code == 200
    hub.let_in("erin")
    line.roles(erin="viewer")
    assert set(hub.members()) == {"erin"}
    assert hub.api("GET", "visa/shared", "bob").json() == {"sessions": []}


def test_a_member_may_do_nothing_to_the_server_by_the_hubs_api(hub, line):
    hub.let_in("bob", "collaborator")
    line.roles(bob="collaborator")
    tries = [
        ("DELETE", "users/alice/servers/tooth"),
        ("POST", "users/alice/servers/tooth"),
        ("GET", "users/alice"),
        ("GET", "users/alice/servers/tooth/progress"),
        ("GET", "shares/alice/tooth"),
        ("GET", "users/alice/tokens"),
    ]
    for method, path in tries:
        assert hub.api(method, path, "bob").status_code in (403, 404), (method, path)
    share = {"user": "carol", "scopes": [CONTROL, ACCESS]}
    assert hub.api("POST", "shares/alice/tooth", "bob", json=share).status_code in (403, 404)
    # Nor does the owner herself give shares past our calls.
    assert hub.api("POST", "shares/alice/tooth", "alice", json=share).status_code in (403, 404)
    assert hub.session("tooth")["state"] == "running"


def test_the_hub_lets_members_log_in_at_the_session_and_nobody_else(hub, line):
    """The way of a browser: the hub's own OAuth page, before the session is asked at all."""

    def login(name):
        browser = hub.login(name)
        question = {
            "client_id": "jupyterhub-user-alice-tooth",
            "response_type": "code",
            "redirect_uri": "/user/alice/tooth/oauth_callback",
            "state": "x",
        }
        answer = browser.get("/hub/api/oauth2/authorize", params=question)
        browser.close()
        return answer.status_code

    assert login("bob") == 403
    hub.let_in("bob")
    assert login("bob") in (200, 302)
    hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice")
    assert login("bob") == login("carol") == 403


# What they see -------------------------------------------------------------------------------------------
def test_shared_with_me(hub, line):
    assert hub.api("GET", "visa/shared", "bob").json() == {"sessions": []}
    hub.let_in("bob")
    (session,) = hub.api("GET", "visa/shared", "bob").json()["sessions"]
    assert session["owner"] == "alice" and session["owner_full_name"] == "Alice A"
    assert (session["name"], session["role"], session["ready"]) == ("tooth", "viewer", True)
    assert session["url"] == "/user/alice/tooth/"


def test_lock_makes_leave_into_view_only(hub, line):
    assert line.last[1]["away"] == "leave"
    assert hub.api("PUT", "visa/sharing/alice/tooth/lock", "alice", json={"locked": True}).status_code == 204
    line.until(lambda table: table["away"] == "view-only")
    hub.api("PUT", "visa/sharing/alice/tooth/lock", "alice", json={"locked": False})
    line.until(lambda table: table["away"] == "leave")
    assert [event["what"] for event in hub.events()[-2:]] == ["locked", "unlocked"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "members", {"role": "viewer"}, "name"),
        ("POST", "members", {"name": "bob", "role": "owner"}, "role"),
        ("POST", "members", {"name": "bob", "role": "support"}, "role"),
        ("POST", "members", {"name": ["bob"], "role": "viewer"}, "name"),
        ("POST", "members", {"name": "bob", "role": "viewer", "until": None}, "until"),
        ("POST", "members", {"name": "bob", "role": "viewer", "despite": "A-1"}, "despite"),
        ("POST", "members", ["bob"], "body"),
        ("PATCH", "members/bob", {"role": ""}, "role"),
        ("PUT", "teams/A-1", {"role": "admin"}, "role"),
        ("PUT", "teams/B-2", {"role": "viewer"}, "experiment"),
        ("DELETE", "teams/A-1", None, "experiment"),
        ("POST", "links", {"role": "viewer", "hours": 0, "uses": 1}, "hours"),
        ("POST", "links", {"role": "viewer", "hours": 10_000, "uses": 1}, "hours"),
        ("POST", "links", {"role": "viewer", "hours": 1, "uses": 0}, "uses"),
        ("POST", "links", {"role": "viewer", "hours": 1, "uses": True}, "uses"),
        ("POST", "links", {"role": "viewer", "hours": 1, "uses": 51}, "uses"),
        ("POST", "links", {"role": "owner", "hours": 1, "uses": 1}, "role"),
        ("DELETE", "links/77", None, "link"),
        ("PUT", "lock", {"locked": 1}, "locked"),
        ("PUT", "lock", {}, "locked"),
    ],
)
def test_a_bad_body_is_refused_by_the_fields_name(hub, line, method, path, body, field):
    answer = hub.api(method, f"visa/sharing/alice/tooth/{path}", "alice", json=body)
    assert 400 <= answer.status_code < 500
    assert answer.json()["message"].startswith(f"{field}: "), answer.text
