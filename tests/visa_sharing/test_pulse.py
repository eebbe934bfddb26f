"""GET visa/pulse: an open page is told at once when something of its person's changes, and nothing else."""

import threading
import time
from types import SimpleNamespace

import httpx
import pytest
from jupyterhub import orm
from sharing_hub import entry, say
from spawner_support import GOOD_OPTIONS
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from visa_sharing.calls.pulse import HELD
from visa_sharing.changes import Concerned, changes
from visa_sharing.pulse import MOST, Pulses

#: Seconds within which a held call is answered: a tick, and a busy machine.
SOON = 5


class Call:
    """One call that is being held, by its own thread."""

    def __init__(self, hub, who, after):
        token = hub.token(who) if who in hub.accounts else who
        self.answer = None
        self._thread = threading.Thread(target=self._ask, args=(hub.hub_url, token, after), daemon=True)
        self._thread.start()

    def _ask(self, url, token, after):
        headers = {"Authorization": f"token {token}"}
        url = f"{url}/hub/api/visa/pulse"
        try:
            self.answer = httpx.get(url, params={"after": after}, headers=headers, timeout=60)
        except httpx.TransportError:
            pass  # the hub has been stopped: the module's tests are over

    def over(self, seconds=SOON):
        """Its answer; fails when there is none in time."""
        self._thread.join(seconds)
        assert self.answer is not None, f"still held after {seconds} s"
        return self.answer

    @property
    def is_held(self):
        # Long enough for an answer that was on its way.
        self._thread.join(0.6)
        return self.answer is None


def pulse(hub, who):
    return hub.api("GET", "visa/pulse", who).json()["pulse"]


def hold(hub, who):
    call = Call(hub, who, pulse(hub, who))
    assert call.is_held, call.answer.text
    return call


@pytest.fixture(scope="module")
def runs(hub):
    for name in ("bob", "carol"):
        hub.token(name)
    hub.run()
    return hub


def test_the_owner_and_whoever_is_let_in_are_told_and_nobody_else(runs):
    owner, member, stranger = (hold(runs, who) for who in ("alice", "bob", "carol"))
    assert runs.let_in("bob").status_code == 201
    told = [call.over().json()["pulse"] for call in (owner, member)]
    assert told == [pulse(runs, "alice"), pulse(runs, "bob")]
    member = hold(runs, "bob")
    assert runs.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice").status_code == 204
    member.over()
    assert runs.api("GET", "visa/mine", "bob").json()["shared"] == []
    assert stranger.is_held


def test_what_a_start_does_is_told_to_its_owner_and_to_its_members(runs):
    runs.let_in("bob")
    owner, member = hold(runs, "alice"), hold(runs, "bob")
    other = "visa/sharing/alice/tooth"
    assert runs.api("GET", other, "alice").status_code == 200  # a look changes nothing
    assert owner.is_held
    runs.run_session("more", GOOD_OPTIONS, "alice")
    owner.over()
    assert member.is_held
    runs.api("DELETE", "users/alice/servers/more", "alice")
    runs.api("DELETE", "users/alice/servers/tooth", "alice")
    member.over()
    runs.run()


def test_who_comes_and_goes_is_told_to_the_owner(runs):
    runs.let_in("bob")
    owner = hold(runs, "alice")
    say(runs, runs.session_token(), entry("pulse-1", "bob"))
    owner.over()
    (inside,) = [
        one for one in runs.api("GET", "visa/mine", "alice").json()["sessions"] if one["name"] == "tooth"
    ]
    assert [one["name"] for one in inside["members"] if one["present"]] == ["bob"]


def test_a_word_for_all_and_one_for_somebody(runs):
    calls = [hold(runs, who) for who in ("alice", "carol")]
    body = {"words": "The ring is down"}
    runs.token("adam")
    answer = runs.api("POST", "visa/admin/announcements", "adam", json=body)
    assert answer.status_code == 201, answer.text
    for call in calls:
        call.over()


def test_mine_says_a_pulse_that_is_as_old_as_what_it_tells(runs):
    mine = runs.api("GET", "visa/mine", "alice").json()
    assert mine["own"] == runs.api("GET", "visa/sessions", "alice").json()["sessions"]
    assert mine["pulse"] == runs.api("GET", "visa/notices", "alice").json()["pulse"]
    assert Call(runs, "alice", mine["pulse"]).is_held


def test_a_token_that_is_taken_back_ends_its_call_at_once(runs):
    token = runs.api("POST", "users/carol/tokens", json={}).json()
    after = pulse(runs, "carol")
    call = Call(runs, token["token"], after)
    assert call.is_held
    assert runs.api("DELETE", f"users/carol/tokens/{token['id']}").status_code == 204
    assert call.over().status_code == 403


def test_one_person_holds_a_few_calls_at_most(runs):
    after = pulse(runs, "carol")
    calls = [Call(runs, "carol", after) for _ in range(MOST + 1)]
    until = time.monotonic() + SOON
    while not any(call.answer for call in calls):
        assert time.monotonic() < until
        time.sleep(0.05)  # the one of too many is answered by the arrival of the last
    (given,) = [call for call in calls if call.answer]
    assert given.answer.json()["pulse"] == after
    assert HELD > 2 * SOON  # or the others could have ended by themselves


@pytest.fixture
def pulses():
    made = Pulses()
    yield made
    changes().listeners.remove(made._waiting_for)


async def test_what_a_database_that_fails_did_not_tell_is_told_when_it_is_back(pulses):
    with Session(create_engine("sqlite://")) as db:
        app = SimpleNamespace(db=db, users={})
        alice = SimpleNamespace(id=1, orm_user=SimpleNamespace(orm_spawners={}))
        pulses._look = lambda *of: None  # the hub's own objects, which are not here
        before = pulses.of(app, alice)
        pulses._task.cancel()
        what = Concerned()
        what.owners = {"alice"}
        pulses._waiting_for(what)
        with pytest.raises(OperationalError):
            pulses.of(app, alice)
        db.rollback()
        orm.Base.metadata.create_all(db.connection())
        db.add(orm.User(id=1, name="alice"))
        db.commit()
        assert pulses.of(app, alice) != before


async def test_a_pulse_counts_nothing(pulses):
    """By a number one could see how often something changes for others."""
    app = SimpleNamespace(db=None, users={})
    pulses._look = lambda *of: None
    seen = []
    for _ in range(5):
        seen.append(pulses.of(app, SimpleNamespace(id=1)))
        what = Concerned()
        what.everything = True
        pulses._waiting_for(what)
    pulses._task.cancel()
    assert len(set(seen)) == 5
    assert all(one[:4] != other[:4] for one, other in zip(seen, seen[1:], strict=False))
