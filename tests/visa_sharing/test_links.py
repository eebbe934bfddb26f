"""Invitation links: what they open, and all that they must not."""

import concurrent.futures
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from sharing_hub import ACCOUNTS

LINKS = "visa/sharing/alice/tooth/links"


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "carol", "erin", "frank"):
        hub.token(name)
    return hub.run()


@pytest.fixture
def line(hub, token):
    line = hub.line(token)
    line.until(lambda table: True)
    yield line
    line.close()
    hub.tell_accounts(ACCOUNTS)
    hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def make(hub, role="viewer", hours=1, uses=5):
    answer = hub.api("POST", LINKS, "alice", json={"role": role, "hours": hours, "uses": uses})
    assert answer.status_code == 201, answer.text
    return answer.json()


def join(hub, who, link):
    return hub.api("POST", "visa/join", who, json={"code": link["code"]})


def shown(hub, link):
    links = hub.api("GET", "visa/sharing/alice/tooth", "alice").json()["links"]
    return next((one for one in links if one["id"] == link["id"]), None)


def change(hub, statement, *values):
    """Turn the database's clock: what waiting for hours would do."""
    with sqlite3.connect(hub.root / "jupyterhub.sqlite", timeout=20) as db:
        db.execute(statement, values)


def test_it_lets_in_as_it_says(hub, line):
    link = make(hub, "collaborator")
    assert len(link["code"]) >= 43 and link["live"] and link["uses"] == 0
    answer = join(hub, "bob", link)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "owner": "alice",
        "owner_full_name": "Alice A",
        "name": "tooth",
        "title": "Tooth",
        "role": "collaborator",
        "url": "/user/alice/tooth/",
    }
    line.roles(bob="collaborator")
    member = hub.members()["bob"]
    assert (member["way"], member["by_way_of"]) == ("link", str(link["id"]))
    assert shown(hub, link)["uses"] == 1 and "code" not in shown(hub, link)
    used = hub.events(what="link-used")[-1]
    assert (used["who"], used["owner"], used["address"]) == ("bob", "alice", "127.0.0.1")


def test_only_a_digest_is_kept(hub, line):
    link = make(hub)
    kept = hub.sql("SELECT * FROM visa_links WHERE id = ?", link["id"])
    assert link["code"] not in repr(kept)
    assert link["code"] not in repr(hub.events()) and link["code"] not in hub.log.read_text()


def test_a_member_uses_none_up_and_stays_what_they_are(hub, line):
    viewers, collaborators = make(hub, "viewer", uses=1), make(hub, "collaborator", uses=1)
    join(hub, "bob", viewers)
    for _ in range(3):
        answer = join(hub, "bob", viewers)
        assert (answer.status_code, answer.json()["role"]) == (200, "viewer")
    # Nor does another link raise them: it was the owner who made them a viewer.
    assert join(hub, "bob", collaborators).json()["role"] == "viewer"
    assert hub.api(
        "PATCH", "visa/sharing/alice/tooth/members/bob", "alice", json={"role": "collaborator"}
    ).is_success
    assert join(hub, "bob", viewers).json()["role"] == "collaborator"
    assert (shown(hub, viewers)["uses"], shown(hub, collaborators)["uses"]) == (1, 0)
    line.roles(bob="collaborator")


def test_used_up_expired_revoked_and_guessed_are_one_and_the_same(hub, line):
    spent, expired, revoked = make(hub, uses=1), make(hub), make(hub)
    assert join(hub, "erin", spent).status_code == 200
    assert hub.api("DELETE", f"{LINKS}/{revoked['id']}", "alice").status_code == 204
    past = (datetime.now(UTC) - timedelta(seconds=1)).replace(tzinfo=None).isoformat(" ")
    change(hub, "UPDATE visa_links SET expires = ? WHERE id = ?", past, expired["id"])
    hub.kill()
    hub.start()
    answers = [join(hub, "bob", link) for link in (spent, expired, revoked, {"code": "x" * 43})]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    why = [event["details"]["why"] for event in hub.events(what="link-refused")[-4:]]
    assert why == [
        "the link was used up", "the link has expired", "the link was revoked", "there is no such link"
    ]  # fmt: skip
    assert set(hub.members()) == {"erin"}


def test_revoking_leaves_who_came_by_it(hub, line):
    link = make(hub)
    join(hub, "bob", link)
    hub.api("DELETE", f"{LINKS}/{link['id']}", "alice")
    assert set(hub.members()) == {"bob"} and shown(hub, link) is None


def test_nobody_gets_in_who_may_not_see_the_data(hub, line):
    link = make(hub)
    answer = join(hub, "carol", link)
    assert answer.status_code == 403 and answer.json()["message"].startswith("code: ")
    assert hub.events(what="link-refused")[-1]["details"]["why"] == "may not see A-1"
    assert hub.members() == {} and shown(hub, link)["uses"] == 0


def test_a_blocked_account_gets_in_nowhere(hub, line):
    link = make(hub)
    hub.tell_accounts({name: values for name, values in ACCOUNTS.items() if name != "bob"})
    # Their login is the hub's to refuse; a token that they still hold opens nothing either.
    change(hub, "UPDATE users SET encrypted_auth_state = NULL WHERE name = 'bob'")
    hub.kill()
    hub.start()
    answer = join(hub, "bob", link)
    assert answer.status_code in (401, 403), answer.text
    assert hub.members() == {} and shown(hub, link)["uses"] == 0
    hub.tell_accounts(ACCOUNTS)
    hub.login("bob").close()
    assert join(hub, "bob", link).status_code == 200


def test_an_account_in_question_gets_in_nowhere(hub, line):
    """Its login still works, so that work can be saved; see docs/operators/login.md."""
    link = make(hub)
    questioned = {name: dict(values) for name, values in ACCOUNTS.items()}
    questioned["bob"]["no_start"] = "Your account cannot be used any more: uid 0"
    hub.tell_accounts(questioned)
    hub.login("bob").close()
    answer = join(hub, "bob", link)
    assert answer.status_code == 403 and answer.json()["message"].startswith("code: your account cannot")
    assert hub.events(what="link-refused")[-1]["details"]["why"] == "cannot be used any more"
    assert hub.let_in("bob").status_code == 403
    assert hub.members() == {} and shown(hub, link)["uses"] == 0
    hub.tell_accounts(ACCOUNTS)
    hub.login("bob").close()
    assert join(hub, "bob", link).status_code == 200


def test_the_owner_needs_none(hub, line):
    assert join(hub, "alice", make(hub)).status_code == 409


def test_two_at_once_for_the_last_use(hub, line):
    for _ in range(5):
        link = make(hub, uses=1)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            tries = [pool.submit(join, hub, who, link) for who in ("bob", "erin", "frank")]
            answers = sorted(each.result().status_code for each in tries)
        assert answers == [200, 404, 404]
        assert len(hub.members()) == 1 and shown(hub, link)["uses"] == 1
        hub.api("DELETE", "visa/sharing/alice/tooth/members", "alice")


def test_one_person_twice_at_once_uses_it_once(hub, line):
    link = make(hub, uses=3)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = [each.result() for each in [pool.submit(join, hub, "bob", link) for _ in range(4)]]
    assert {answer.status_code for answer in answers} == {200}
    assert shown(hub, link)["uses"] == 1


def test_a_link_of_a_session_that_is_gone(hub, line):
    hub.run("brief-one")
    made = hub.api(
        "POST",
        "visa/sharing/alice/brief-one/links",
        "alice",
        json={"role": "viewer", "hours": 1, "uses": 1},
    ).json()
    hub.stop_session("brief-one")
    assert join(hub, "bob", made).status_code == 404
    assert hub.sql("SELECT count(*) FROM visa_links WHERE id = ?", made["id"]) == [(0,)]


def test_guessing_is_slowed_down(hub, line):
    codes = [join(hub, "frank", {"code": f"guess-{n}"}).status_code for n in range(22)]
    assert codes[0] == 404 and codes[-1] == 429
