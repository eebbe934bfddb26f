"""Data added to a session that runs, and taken away: who may, who is told, who is out, what a kill leaves."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from sharing_hub import ACCOUNTS, SharingHub, a_sharing_hub, entry, say, write_teams

DATA = "visa/sessions/alice/tooth/data"
LINK = {"role": "viewer", "hours": 1, "uses": 5}
LOOKS = {"role": "viewer"}


@pytest.fixture(scope="module")
def hub():
    accounts = ACCOUNTS | {
        "alice": ACCOUNTS["alice"]
        | {"teams": ["A-1", "B-2", "C-3", "D-4"], "roles": ["scientist", "helpdesk"]}
    }

    class DataHub(SharingHub):
        def __init__(self, root, *rest, **site):
            add_experiments(root)
            super().__init__(root, *rest, **site)

    DataHub.accounts = accounts
    binds = 'c.ClusterAccess.binds = [SETTINGS["marks"].removesuffix("marks") + "visitor/f6/lib"]\n'
    DataHub.config = SharingHub.config.replace("prepare(c)\n", binds + "prepare(c)\n", 1)
    with a_sharing_hub({"refresh_seconds": 3600, "trust_seconds": 6}, DataHub, max_sessions=9) as hub:
        yield hub


def add_experiments(root):
    """C-3 stands around B-2's folder, D-4's raw data in A-1's results, F-6 around what the operator binds.

    E-5 is nobody's of ours.
    """
    file = root / "experiments.yaml"
    known = yaml.safe_load(file.read_text())
    (root / "visitor/a1/PROCESSED_DATA/raw").mkdir()
    (root / "visitor/f6/lib").mkdir(parents=True)
    profile = root / "profiles/general.yaml"
    profile.write_text(yaml.safe_dump(yaml.safe_load(profile.read_text()) | {"cluster": True}))
    places = {"C-3": "b2", "D-4": "a1/PROCESSED_DATA", "E-5": "a1", "F-6": "f6"}
    for id, raw in places.items():
        known.append(known[1] | {"id": id, "proposal": id, "raw": f"{root}/visitor/{raw}", "datasets": []})
    file.write_text(yaml.safe_dump(known))
    write_teams(root, dict.fromkeys(["A-1", "B-2", *places], ["alice"]) | {"E-5": []})
    (root / "visitor/b2/RAW_DATA/scan").mkdir()


@pytest.fixture
def work(hub):
    """A session with A-1; gone again afterwards."""
    (hub.marks / "alice+tooth.data").unlink(missing_ok=True)
    yield hub.run()
    for mark in ("fixed", "down", "hold-mount", "hold-add", "hold-remove", "fail-add"):
        (hub.marks / mark).unlink(missing_ok=True)
    hub.stop_session("tooth")


def add(hub, experiment="B-2", who="alice", **more):
    return hub.api("POST", DATA, who, json={"experiment": experiment} | more)


def take(hub, experiment="B-2", who="alice"):
    return hub.api("DELETE", f"{DATA}/{experiment}", who)


def ask(hub, who, role="viewer"):
    body = {"role": role, "message": "May I?"}
    return hub.api("POST", "visa/support/alice/tooth/ask", who, json=body).json()["id"]


def answer(hub, number, said):
    return hub.api(
        "POST", "visa/sharing/alice/tooth/answers", "alice", json={"request": number, "answer": said}
    )


def start_again(hub):
    """Start the session once more with what it had last; gives its own token."""
    answer = hub.api("POST", "users/alice/servers/tooth", "alice")
    assert answer.status_code in (201, 202), answer.text
    hub.until(lambda: hub.session("tooth")["ready"], 30, "it runs again")
    return hub.session_token()


def given(hub):
    file = hub.marks / "alice+tooth.data"
    return json.loads(file.read_text()) if file.exists() else {"mounts": {}, "links": {}}


def refused(answer, status, words):
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"], answer.text


def passport_ids(hub):
    """The experiments of the passport that is in the session."""
    return [one["id"] for one in json.loads(given(hub)["passport"])["experiments"]]


def state(hub, name="tooth"):
    ((found,),) = hub.sql("SELECT state FROM spawners WHERE name = ?", name)
    return json.loads(found)["visa"]


def test_data_come_and_go_and_everybody_who_must_know_knows(hub, work):
    line, raw = hub.line(work), f"{hub.root}/visitor/b2/RAW_DATA"
    line.until(lambda table: [one["id"] for one in table["experiments"]] == ["A-1"])
    answer = add(hub, datasets=["B-2-scan"])
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"experiments": ["A-1", "B-2"], "datasets": ["B-2-scan"]}
    inside = given(hub)
    assert inside["mounts"] == {raw: [["scan"], True]}
    links = {"/experiments/B-2/raw": raw, "/experiments/B-2/datasets/scan": f"{raw}/scan"}
    assert inside["links"] == links
    _, table = line.until(lambda table: len(table["experiments"]) == 2)
    assert table["experiments"][1]["raw"] == raw
    assert [one["name"] for one in table["experiments"][1]["datasets"]] == ["scan"]
    passport = hub.api("GET", "visa/sessions/alice/tooth/passport", "alice").json()
    assert json.loads(inside["passport"]) == passport
    assert [(one["id"], one["proposal"]) for one in passport["experiments"]] == [
        ("A-1", "A-1"),
        ("B-2", "B-2"),
    ]
    assert passport["options"]["experiments"] == ["A-1", "B-2"]
    assert hub.session("tooth")["experiments"] == ["A-1", "B-2"]
    (event,) = hub.events(what="data-added")
    assert (event["owner"], event["session"], event["who"]) == ("alice", "tooth", "alice")
    assert event["details"] == {"experiment": "B-2"}
    assert hub.mounts() == []
    # The hub knows them after a restart, and the session keeps them.
    hub.kill()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it is found again")
    assert hub.session("tooth")["experiments"] == ["A-1", "B-2"]
    assert given(hub) == inside
    refused(add(hub), 409, "experiment: it is in this session already")
    line = hub.line(work)
    line.until(lambda table: len(table["experiments"]) == 2)
    answer = take(hub)
    assert answer.json() == {"experiments": ["A-1"], "datasets": []}
    assert given(hub)["mounts"] == given(hub)["links"] == {}
    line.until(lambda table: len(table["experiments"]) == 1)
    (event,) = hub.events(what="data-removed")
    assert event["details"] == {"experiment": "B-2"}
    passport = hub.api("GET", "visa/sessions/alice/tooth/passport", "alice").json()
    assert passport["options"]["experiments"] == ["A-1"]
    assert passport["options"]["datasets"] == []
    line.close()


def test_a_session_that_is_started_again_has_what_it_had_last(hub, work):
    assert add(hub).status_code == 200
    hub.stop_session("tooth", remove=False)
    start_again(hub)
    plan = json.loads((hub.marks / "alice+tooth.plan").read_text())["plan"]
    assert f"{hub.root}/visitor/b2/RAW_DATA" in [bind["target"] for bind in plan["binds"]]


def test_whoever_may_not_see_it_is_out_before_it_is_there(hub, work):
    for name in ("bob", "frank"):
        hub.token(name)
        hub.let_in(name, "collaborator")
    line = hub.line(work)
    line.roles(bob="collaborator", frank="collaborator")
    (hub.marks / "hold-mount").touch()
    with ThreadPoolExecutor() as beside:
        answer = beside.submit(add, hub)
        line.roles(frank="collaborator")
        assert line.last[1]["put_out"] == [{"name": "bob", "full_name": "Bob B"}]
        assert set(hub.members()) == {"frank"}
        assert given(hub)["mounts"] == {}
        (hub.marks / "hold-mount").unlink()
        assert answer.result().status_code == 200
    (ended,) = [one for one in hub.events(what="member-ended", whom="bob") if one["session"] == "tooth"][-1:]
    assert ended["details"]["why"] == "may not see B-2, which was added"
    refused(hub.let_in("bob"), 403, "B-2")
    assert take(hub).status_code == 200
    line.close()
    # A session that cannot be told is given nothing.
    hub.until(lambda: add(hub).status_code == 503, 10, "nobody listens")
    assert given(hub)["mounts"] == {}
    assert hub.session("tooth")["experiments"] == ["A-1"]


def test_what_was_taken_away_counts_until_the_session_is_started_anew(hub, work):
    hub.token("bob")
    hub.token("heidi")
    link = hub.api("POST", "visa/sharing/alice/tooth/links", "alice", json=LINK).json()
    assert hub.api("PUT", "visa/sharing/alice/tooth/teams/A-1", "alice", json=LOOKS).status_code < 300
    hub.until(lambda: "bob" in hub.members(), 10, "the team is in")
    line = hub.line(work)
    line.until(lambda table: "bob" in [one["name"] for one in table["members"]])
    assert add(hub).status_code == 200
    assert take(hub).status_code == 200
    assert "bob" not in hub.members()
    # What a program has open, or where it stands, it reaches still, and by it whoever works in the session.
    was = "Bob B may not see B-2; B-2 was in this session until "
    refused(hub.let_in("bob"), 403, was)
    refused(hub.let_in("bob"), 403, "UTC; somebody without a right to it can be let into a new session")
    refused(hub.api("POST", "visa/join", "bob", json={"code": link["code"]}), 403, "has, or had, data")
    assert hub.events(what="link-refused")[-1]["details"]["why"].startswith("may not see B-2; B-2 was")
    number = ask(hub, "heidi")
    refused(answer(hub, number, "watch"), 409, "request: Heidi H may not see B-2; B-2 was in this session")
    assert answer(hub, number, "decline").status_code < 300
    assert "bob" not in hub.members()
    # The hub knows it after a restart; while it is there again, it is in it, and not what was.
    hub.kill()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it is found again")
    refused(hub.let_in("bob"), 403, was)
    line.close()
    line = hub.line(work)
    line.until(lambda table: len(table["experiments"]) == 1)
    assert add(hub).status_code == 200
    assert hub.let_in("bob").json()["message"] == "name: Bob B may not see B-2"
    assert take(hub).status_code == 200
    line.close()
    hub.stop_session("tooth", remove=False)
    start_again(hub)
    assert hub.let_in("bob").status_code < 300


def test_who_has_worked_in_it_and_may_not_see_it_keeps_it_out(hub, work):
    for name in ("bob", "erin"):
        hub.token(name)
    hub.let_in("bob", "collaborator")
    hub.let_in("erin", "viewer")
    line = hub.line(work)
    line.roles(bob="collaborator", erin="viewer")
    # They came as a viewer, while the owner was away, and are one by now.
    assert hub.api("PATCH", "visa/sharing/alice/tooth/members/bob", "alice", json=LOOKS).status_code == 200
    line.roles(bob="viewer", erin="viewer")
    say(hub, work, entry("bob-worked", "bob"), entry("erin-looked", "erin"))
    words = "experiment: Bob B has worked in this session and may not see B-2; start a new session with it"
    refused(add(hub), 409, words)
    assert set(hub.members()) == {"bob", "erin"}
    assert state(hub)["adding"] is None
    # What they left running is the owner's, wherever they are themselves.
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice").status_code == 204
    refused(add(hub), 409, words)
    assert given(hub)["mounts"] == {}
    assert set(hub.members()) == {"erin"}
    line.close()
    hub.stop_session("tooth", remove=False)
    work = start_again(hub)
    # Of this run alone; who only watched is out, and keeps nothing out.
    line = hub.line(work)
    line.roles(erin="viewer")
    say(hub, work, entry("erin-again", "erin"))
    assert add(hub).status_code == 200
    assert hub.members() == {}
    line.close()


def test_support_that_is_in_sees_nothing_more_than_its_owner_agreed_to(hub, work):
    line = hub.line(work)
    for name in ("ivan", "heidi"):
        hub.token(name)
        assert answer(hub, ask(hub, name), "watch").status_code < 300
    line.roles(ivan="viewer", heidi="viewer")
    refused(add(hub), 409, "Heidi H is in this session as support and may not see B-2; end that first")
    assert set(hub.members()) == {"ivan", "heidi"}
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/heidi", "alice").status_code == 204
    line.roles(ivan="viewer")
    # The instrument's scientist may see it anyway.
    assert add(hub).status_code == 200
    assert set(hub.members()) == {"ivan"}
    line.close()


def test_a_session_that_has_not_heard_who_is_out_is_given_nothing(hub, work):
    hub.token("bob")
    assert hub.let_in("bob").status_code < 300
    line = hub.line(work)
    line.roles(bob="viewer")
    say(hub, work, entry("bob-came", "bob"))
    line.close()
    assert hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice").status_code == 204
    # Bob has no share any more, and the session still believes that he may be in it.
    hub.until(lambda: add(hub).status_code == 503, 10, "nobody listens")
    assert given(hub)["mounts"] == {}
    line = hub.line(work)
    line.roles()
    assert add(hub).status_code == 200
    line.close()


def test_only_the_owner_and_only_what_they_may_see(hub, work):
    for who in ("frank", "adam", "heidi", hub.admin_token, work):
        hub.token(who) if who in ACCOUNTS else None
        assert add(hub, who=who).status_code in (403, 404)
        assert take(hub, "A-1", who).status_code in (403, 404)
    refused(add(hub, "E-5"), 400, "experiment: there is no experiment E-5 that you may see")
    refused(add(hub, "Z-9"), 400, "there is no experiment Z-9 that you may see")
    refused(add(hub, datasets=["A-1-scan"]), 400, "datasets: there is no dataset A-1-scan in B-2")
    refused(add(hub, "C-3/.."), 400, "experiment: must be the id")
    refused(add(hub, datasets=["x", "x"]), 400, "datasets: must be")
    refused(add(hub, plan="big"), 400, "body: takes experiment and datasets")
    refused(hub.api("POST", DATA, "alice", content="no"), 400, "body: must be one JSON object")
    refused(take(hub, "B-2"), 404, "experiment: it is not in this session")
    refused(
        hub.api("POST", "visa/sessions/alice/none/data", "alice", json={"experiment": "B-2"}), 404, "session"
    )
    (hub.marks / "fixed").touch()
    refused(add(hub), 409, "session: data stay as they are here")
    assert hub.session("tooth")["why_not_added"] == "data stay as they are here"
    assert given(hub)["mounts"] == {}
    assert not hub.events(what="data-added", session="other")


def test_directories_that_would_hide_or_open_one_another_are_refused(hub, work):
    # D-4's raw data are where A-1's results may be written.
    refused(add(hub, "D-4"), 409, "where this session may write")
    refused(add(hub, "F-6"), 409, "its folder holds one that this session has already")
    assert add(hub, "B-2").status_code == 200
    # C-3 would hide what B-2 has below.
    refused(add(hub, "C-3"), 409, "holds one that this session has already")
    assert take(hub).status_code == 200
    assert add(hub, "C-3").status_code == 200
    assert add(hub, "B-2").status_code == 200
    refused(take(hub, "C-3"), 409, "take that one away first")
    assert take(hub, "B-2").status_code == 200
    assert take(hub, "C-3").status_code == 200


def test_a_failure_leaves_nothing_and_what_is_not_known_is_set_right(hub, work):
    before = state(hub)
    (hub.marks / "fail-add").touch()
    refused(add(hub), 503, "session: its data could not be added")
    assert given(hub)["mounts"] == {}
    # Whoever had a look meanwhile may have it open.
    assert list(state(hub)["taken"]) == ["B-2"]
    assert state(hub) == before | {"taken": state(hub)["taken"]}
    assert passport_ids(hub) == ["A-1"]
    # Neither is known: it is being added for as long as that is so, and counts for who may be let in.
    (hub.marks / "hold-add").touch()
    with ThreadPoolExecutor() as beside:
        beside.submit(add, hub)
        hub.until(lambda: given(hub)["mounts"], 20, "it is mounted")
        (hub.marks / "down").touch()
        (hub.marks / "hold-add").unlink()
    assert state(hub)["adding"]["id"] == "B-2"
    hub.token("bob")
    refused(hub.let_in("bob"), 403, "B-2")
    refused(add(hub), 503, "session: the last change to its data is not over yet")
    for mark in ("down", "fail-add"):
        (hub.marks / mark).unlink()
    hub.until(lambda: not state(hub)["adding"], 10, "it is set right")
    assert given(hub)["mounts"] == {}
    assert passport_ids(hub) == ["A-1"]
    assert hub.mounts() == []


@pytest.mark.parametrize("moment", ["add", "remove"])
def test_a_hub_that_is_killed_midway_sets_it_right(hub, work, moment):
    if moment == "remove":
        assert add(hub).status_code == 200
    (hub.marks / f"hold-{moment}").touch()
    raw = f"{hub.root}/visitor/b2/RAW_DATA"
    with ThreadPoolExecutor() as beside:
        beside.submit(add if moment == "add" else take, hub)
        hub.until(lambda: (raw in given(hub)["mounts"]) == (moment == "add"), 20, "it has happened")
        hub.kill()
    (hub.marks / f"hold-{moment}").unlink()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it is found again")
    hub.until(lambda: not state(hub)["adding"] and not state(hub)["removing"], 20, "it is set right")
    assert given(hub)["mounts"] == {}
    assert hub.session("tooth")["experiments"] == ["A-1"]
    assert passport_ids(hub) == ["A-1"]
    assert hub.mounts() == []
    assert add(hub).status_code == 200
