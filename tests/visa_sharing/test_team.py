"""Shared with the team: whoever belongs to it is in, whatever says so and whenever it does."""

import pytest
from sharing_hub import ACCOUNTS, write_teams

A_1 = "visa/sharing/alice/tooth/teams/A-1"


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "carol", "dave"):
        hub.token(name)
    return hub.run()


@pytest.fixture
def line(hub, token):
    line = hub.line(token)
    line.until(lambda table: True)
    yield line
    line.close()
    hub.tell_accounts(ACCOUNTS)
    write_teams(hub.root, {"A-1": ["alice", "dave", "zoe"], "B-2": ["alice"]})
    hub.api("POST", "groups/experiment-A-1/users", json={"users": ["bob"]})
    hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def share(hub, role="viewer"):
    answer = hub.api("PUT", A_1, "alice", json={"role": role})
    assert answer.status_code == 204, answer.text


def test_the_team_by_group_and_by_catalogue_is_in(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer")
    members = hub.members()
    assert {(member["way"], member["by_way_of"]) for member in members.values()} == {("team", "A-1")}
    (team,) = hub.api("GET", "visa/sharing/alice/tooth", "alice").json()["teams"]
    assert (team["experiment"], team["title"], team["role"]) == ("A-1", "About A-1", "viewer")
    people = {person["name"]: (person["full_name"], person["known"]) for person in team["people"]}
    assert people["dave"] == ("Dave D", True) and people["zoe"] == ("", False)
    # Nobody who is on none of the session's experiments, nor the owner.
    assert not {"carol", "alice", "heidi"} & set(people)


def test_it_follows_the_role_and_the_end(hub, line):
    share(hub)
    share(hub, "collaborator")
    line.roles(bob="collaborator", dave="collaborator")
    assert hub.api("DELETE", A_1, "alice").status_code == 204
    line.roles()
    assert hub.shares() == {}


def test_whoever_joins_a_group_gets_in_and_whoever_leaves_is_out(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer")
    hub.api("POST", "groups/experiment-A-1/users", json={"users": ["carol"]})
    line.roles(bob="viewer", dave="viewer", carol="viewer")
    hub.api("DELETE", "groups/experiment-A-1/users", json={"users": ["carol", "bob"]})
    line.roles(dave="viewer")
    assert set(hub.shares()) == {"dave"}
    ended = {event["whom"]: event["details"] for event in hub.events(what="member-ended")[-2:]}
    # Both are true, and which is seen first is a matter of moments.
    why = {"left the team of A-1", "may not see A-1"}
    assert {ended["bob"]["why"], ended["carol"]["why"]} <= why


def test_a_group_that_is_removed_takes_its_members_out(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer")
    assert hub.api("DELETE", "groups/experiment-A-1").status_code == 204
    line.roles(dave="viewer")
    hub.api("POST", "groups/experiment-A-1", json={"users": ["bob", "alice"]})
    line.roles(bob="viewer", dave="viewer")


def test_who_has_never_logged_in_gets_in_at_the_first_login(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer")
    hub.login("erin").close()
    line.roles(bob="viewer", dave="viewer", erin="viewer")


def test_a_login_that_brings_other_teams(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer", erin="viewer")
    left = {name: dict(values) for name, values in ACCOUNTS.items()}
    left["erin"]["teams"] = []
    hub.tell_accounts(left)
    # The dummy login takes what the facility says; so does a refresh.
    hub.login("erin").close()
    line.roles(bob="viewer", dave="viewer")
    hub.tell_accounts(ACCOUNTS)
    hub.login("erin").close()
    line.roles(bob="viewer", dave="viewer", erin="viewer")


def test_whom_the_owner_ended_stays_out_until_asked_in(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer", erin="viewer")
    hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice")
    line.roles(dave="viewer", erin="viewer")
    hub.api("DELETE", "groups/experiment-A-1/users", json={"users": ["bob"]})
    hub.api("POST", "groups/experiment-A-1/users", json={"users": ["bob"]})
    share(hub, "collaborator")
    line.roles(dave="collaborator", erin="collaborator")
    made = hub.api(
        "POST", "visa/sharing/alice/tooth/links", "alice", json={"role": "viewer", "hours": 1, "uses": 2}
    )
    assert hub.api("POST", "visa/join", "bob", json={"code": made.json()["code"]}).status_code == 404
    assert hub.let_in("bob").status_code == 201
    line.roles(bob="viewer", dave="collaborator", erin="collaborator")


def test_who_leaves_by_themselves_is_not_let_in_again_at_once(hub, line):
    share(hub)
    line.roles(bob="viewer", dave="viewer", erin="viewer")
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/dave", "dave").status_code == 204
    line.roles(bob="viewer", erin="viewer")
    share(hub, "collaborator")
    line.roles(bob="collaborator", erin="collaborator")
    # Asked in again, for the tests that follow.
    assert hub.let_in("dave").status_code == 201


def test_whom_the_hubs_api_ended_stays_out(hub, line):
    share(hub)
    members = set(hub.members())
    assert "erin" in members
    hub.api("PATCH", "shares/alice/tooth", json={"user": "erin"})
    line.until(lambda table: "erin" not in {member["name"] for member in table["members"]})
    share(hub, "collaborator")
    line.until(lambda table: {member["role"] for member in table["members"]} == {"collaborator"})
    assert set(hub.members()) == members - {"erin"}
    assert hub.let_in("erin").status_code == 201


def test_who_is_in_by_name_keeps_what_the_owner_chose(hub, line):
    hub.let_in("bob", "viewer")
    share(hub, "collaborator")
    line.roles(bob="viewer", dave="collaborator", erin="collaborator")
    assert hub.api("DELETE", A_1, "alice").status_code == 204
    line.roles(bob="viewer")


def test_the_hub_killed_while_somebody_leaves_lets_nobody_stay(hub, token):
    share(hub)
    assert {"bob", "dave", "erin"} <= set(hub.members())
    hub.kill()
    write_teams(hub.root, {"A-1": ["alice"], "B-2": ["alice"]})
    hub.start()
    hub.until(lambda: "dave" not in hub.shares(), 10, "dave, who left meanwhile, is out")
    line = hub.line(token)
    line.roles(bob="viewer", erin="viewer")
    line.close()
    hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def test_a_session_of_two_experiments_lets_in_who_may_see_both(hub, token):
    hub.token("frank")
    line = hub.line(hub.run("two", experiments=["A-1", "B-2"]))
    answer = hub.api("PUT", "visa/sharing/alice/two/teams/A-1", "alice", json={"role": "viewer"})
    assert answer.status_code == 204
    line.roles(frank="viewer")
    hub.api("POST", "groups/experiment-B-2/users", json={"users": ["bob"]})
    line.roles(frank="viewer", bob="viewer")
    hub.api("DELETE", "groups/experiment-B-2/users", json={"users": ["bob"]})
    line.roles(frank="viewer")
    line.close()
    # Started anew with other data, it is shared with nobody who may not see those.
    hub.stop_session("two", remove=False)
    line = hub.line(hub.run("two", experiments=["B-2"]))
    line.roles()
    assert hub.events(what="team-unshared")[-1]["details"]["experiment"] == "A-1"
    line.close()
    hub.stop_session("two")
    assert hub.sql("SELECT count(*) FROM visa_team_shares") == [(0,)]
