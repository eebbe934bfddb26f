"""Looking at many sessions: what is asked, and that others have their turn meanwhile."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from visa_spawner.running import lifetime, routes
from visa_spawner.running.rounds import Rounds
from visa_spawner.running.suspending import Suspending
from visa_spawner.running.turns import in_turns
from visa_spawner.session import State, Status


class Session:
    """A session that notes when it is polled."""

    def __init__(self, ended=False, interval=0.02):
        self.ended, self.poll_interval, self.polls, self.looks = ended, interval, 0, 0
        self.hold = asyncio.Event()
        self.hold.set()

    def may_have_ended(self):
        self.looks += 1
        return self.ended

    async def poll_and_notify(self):
        self.polls += 1
        await self.hold.wait()
        return None


@pytest.fixture
def rounds(monkeypatch):
    monkeypatch.setattr("visa_spawner.running.rounds.TICK", 0.01)
    return Rounds()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_sessions_that_run_are_looked_at_and_never_polled(rounds):
    sessions = [Session() for _ in range(200)]
    for one in sessions:
        rounds.add(one)
    before = len(asyncio.all_tasks())
    await until(lambda: all(one.looks >= 3 for one in sessions))
    assert sum(one.polls for one in sessions) == 0
    # One task for all of them.
    assert len(asyncio.all_tasks()) <= before


async def test_one_that_may_have_ended_is_polled_again_and_again_but_once_at_a_time(rounds):
    slow, other = Session(ended=True), Session(ended=True)
    slow.hold.clear()
    rounds.add(slow)
    rounds.add(other)
    await until(lambda: other.polls >= 3)
    assert slow.polls == 1
    slow.hold.set()
    await until(lambda: slow.polls >= 2)


async def test_one_that_is_taken_out_is_left_alone(rounds):
    one, other = Session(), Session()
    rounds.add(one)
    rounds.add(other)
    assert one in rounds and len(rounds) == 2
    rounds.remove(one)
    rounds.remove(one)
    await until(lambda: other.looks >= 2)
    assert one.looks == 0 and one not in rounds


async def test_one_that_was_added_twice_is_looked_at_once_a_round(rounds):
    one = Session(interval=10)
    for _ in range(5):
        rounds.add(one)
    rounds._due = [(0, number, it) for _, number, it in rounds._due]
    rounds.look()
    assert one.looks == 1


async def test_a_poll_that_fails_is_not_the_last(rounds):
    one = Session(ended=True)

    async def fails():
        one.polls += 1
        raise RuntimeError("a fault")

    one.poll_and_notify = fails
    rounds.add(one)
    await until(lambda: one.polls >= 2)


async def test_others_have_their_turn_whenever_a_slice_is_used_up():
    turns, seen = 0, []

    async def other():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    # A second passes with each of them.
    async for number in in_turns(range(10), 2, clock=lambda: float(len(seen))):
        seen.append(number)
    task.cancel()
    assert seen == list(range(10)) and turns >= 4


# The proxy's routes ------------------------------------------------------------------------------------
class Users(dict):
    def get(self, name):
        return next((user for user in self.values() if user.name == name), None)


def a_user(number, ready=True, **row):
    spawner = SimpleNamespace(
        proxy_spec=f"/user/u{number}/tooth/",
        ready=ready,
        pending=None,
        withheld=False,
        server=SimpleNamespace(host=f"http://10.0.0.1:{number}"),
        orm_spawner=SimpleNamespace(**{"last_activity": None} | row),
        _log_name=f"u{number}:tooth",
    )
    orm_user = SimpleNamespace(last_activity=None)
    return SimpleNamespace(name=f"u{number}", orm_user=orm_user, spawners={"tooth": spawner})


class Proxy:
    extra_routes = {}

    def __init__(self):
        self.calls = []

    async def add_user(self, user, name):
        self.calls.append(("add", user.name))

    async def delete_route(self, spec):
        self.calls.append(("delete", spec))

    async def add_hub_route(self, hub):
        self.calls.append(("hub",))

    async def add_service(self, service):
        self.calls.append(("service", service.name))


def an_app(users):
    hub = SimpleNamespace(routespec="/", host="http://10.0.0.2:8081")
    service = SimpleNamespace(
        name="visa", proxy_spec="/services/visa/", server=SimpleNamespace(host="http://10.0.0.3:1")
    )
    return SimpleNamespace(users=Users(enumerate(users)), hub=hub, _service_map={"visa": service})


def routes_of(app, activity="2026-11-01T10:00:00.000Z"):
    found = {
        spawner.proxy_spec: {
            "target": spawner.server.host,
            "data": {"user": user.name, "server_name": name, "last_activity": activity},
        }
        for user in app.users.values()
        for name, spawner in user.spawners.items()
    }
    found["/"] = {"target": app.hub.host, "data": {"hub": True}}
    service = app._service_map["visa"]
    return found | {service.proxy_spec: {"target": service.server.host, "data": {"service": "visa"}}}


async def test_routes_are_made_right_and_right_ones_left_alone():
    app = an_app([a_user(number) for number in range(5)])
    proxy, found = Proxy(), routes_of(app)
    await routes.mend(proxy, app, found)
    assert proxy.calls == []
    del found["/user/u1/tooth/"], found["/"]
    found["/user/u2/tooth/"]["target"] = "http://10.9.9.9:1"
    found["/services/visa/"]["target"] = "http://10.9.9.9:2"
    found["/user/gone/tooth/"] = {"target": "http://x", "data": {"user": "gone", "server_name": "tooth"}}
    app.users[3].spawners["tooth"].ready = False
    app.users[4].spawners["tooth"].ready, app.users[4].spawners["tooth"].pending = False, "stop"
    await routes.mend(proxy, app, found)
    assert sorted(proxy.calls) == [
        ("add", "u1"),
        ("add", "u2"),
        ("delete", "/user/gone/tooth/"),
        ("delete", "/user/u3/tooth/"),
        ("hub",),
        ("service", "visa"),
    ]


async def test_no_route_leads_to_a_session_that_stands_still():
    app = an_app([a_user(number) for number in range(3)])
    proxy, found = Proxy(), routes_of(app)
    for number in (0, 1):
        app.users[number].spawners["tooth"].withheld = True
    del found["/user/u1/tooth/"]
    await routes.mend(proxy, app, found)
    assert proxy.calls == [("delete", "/user/u0/tooth/")]


async def test_the_route_of_a_session_that_was_started_meanwhile_stays(monkeypatch):
    app = an_app([a_user(0, ready=False), a_user(1)])

    async def starts_meanwhile(things):
        for thing in list(things):
            yield thing
        app.users[0].spawners["tooth"].ready = True

    monkeypatch.setattr(routes, "in_turns", starts_meanwhile)
    proxy = Proxy()
    await routes.mend(proxy, app, routes_of(app))
    assert proxy.calls == []


async def test_a_route_that_cannot_be_written_keeps_no_other_from_being_written():
    app = an_app([a_user(number) for number in range(450)])
    proxy = Proxy()
    add = proxy.add_user

    async def first_fails(user, name):
        if user.name == "u0":
            raise OSError("no")
        await add(user, name)

    proxy.add_user = first_fails
    with pytest.raises(OSError):
        await routes.mend(proxy, app, {"/": {"target": app.hub.host, "data": {}}})
    assert len(proxy.calls) == 449 + 1


# Sessions that are over --------------------------------------------------------------------------------
async def test_looking_for_sessions_that_are_over_goes_in_turns(monkeypatch):
    looked = []

    class Turns:
        def __init__(self, things):
            self.things = things

        async def __aiter__(self):
            for thing in self.things:
                looked.append(thing)
                yield thing

    monkeypatch.setattr(lifetime, "in_turns", Turns)
    monkeypatch.setattr(lifetime, "_spawners", lambda app: [(None, one) for one in idle])
    idle = [SimpleNamespace(child_spawner=None, ready=False) for _ in range(3)]
    await lifetime.end_overdue(SimpleNamespace(now=datetime.now(UTC)))
    assert [one for _, one in looked] == idle


async def test_a_session_that_is_held_ends_by_its_lifetime_and_not_as_idle(monkeypatch):
    ended, now = [], datetime.now(UTC)

    async def end(app, user, spawner, said):
        ended.append(spawner.name)

    def one(name, status, left):
        kept = SimpleNamespace(
            phase="running",
            runs_since=now - timedelta(hours=9),
            ends=now + left,
            options={},
            lifetime_hours=8,
        )
        kept.idle_hours = 1
        made = SimpleNamespace(name=name, ready=True, kept=kept, follow_end=lambda: None)
        made.follow_suspension = lambda: None
        made.child_spawner = SimpleNamespace(status=status)
        made.orm_spawner = SimpleNamespace(last_activity=None)
        return None, made

    async def turns(things):
        for thing in things:
            yield thing

    held, unknown = Status(State.UNKNOWN, held=True), Status(State.UNKNOWN)
    hour = timedelta(hours=1)
    some = [one("held", held, hour), one("over", held, -hour), one("unknown", unknown, -hour)]
    monkeypatch.setattr(lifetime, "in_turns", turns)
    monkeypatch.setattr(lifetime, "_spawners", lambda app: some)
    monkeypatch.setattr(lifetime, "_end", end)
    await lifetime.end_overdue(None)
    assert ended == ["over"]


class Stands(Suspending):
    """A session whose backend says what it is told to; `led` is what the proxy is asked for, and `takes`."""

    ready = takes = True

    def __init__(self):
        self.led = []
        self.kept = SimpleNamespace(
            suspended=None, phase="running", runs_since=datetime(2026, 1, 1, tzinfo=UTC)
        )
        self.kept.but = lambda suspended: self.kept
        self.remember = lambda: None
        self.orm_spawner = SimpleNamespace(last_activity=datetime(2026, 1, 1))

    def says(self, state, held=False):
        self.child_spawner = SimpleNamespace(status=Status(state, held=held))
        self.follow_suspension()

    def _follow_route(self):
        self.led.append(not self.withheld)
        if self.takes:
            self._hidden = self.withheld


def test_what_its_backend_had_stand_still_counts_from_when_it_goes_on():
    """Or a session that a cluster suspended for hours would end as idle at the moment it goes on."""
    one, before = Stands(), datetime(2026, 1, 1)
    for state, held, counts in (
        (State.RUNNING, False, False),
        (State.SUSPENDED, True, False),
        (State.UNKNOWN, False, False),
        (State.RUNNING, False, True),
    ):
        one.says(state, held)
        assert (one.orm_spawner.last_activity != before) is counts, state


def test_silence_of_its_backend_changes_nothing_about_where_the_proxy_leads():
    one = Stands()
    one.says(State.RUNNING)
    one.says(State.UNKNOWN)
    assert one.led == []
    one.says(State.SUSPENDED, held=True)
    one.says(State.UNKNOWN)
    one.says(State.SUSPENDED, held=True)
    assert one.led == [False] and one.withheld
    one.says(State.RUNNING)
    assert one.led == [False, True]


def test_a_proxy_that_did_not_take_it_is_asked_at_the_next_look():
    one = Stands()
    one.takes = False
    one.says(State.SUSPENDED, held=True)
    one.says(State.SUSPENDED, held=True)
    one.takes = True
    one.says(State.SUSPENDED, held=True)
    one.says(State.SUSPENDED, held=True)
    assert one.led == [False] * 3


def test_a_session_that_stands_still_before_it_is_ready_is_followed_then():
    one = Stands()
    one.ready = False
    one.says(State.SUSPENDED, held=True)
    assert one.led == []
    one.ready = True
    one.says(State.SUSPENDED, held=True)
    assert one.led == [False]


def test_a_database_that_is_away_ends_no_look_at_others(caplog):
    one = Stands()
    one.log, one._log_name = logging.getLogger("test"), "alice:tooth"
    one.says(State.SUSPENDED, held=True)

    def away():
        raise OSError("the database is away")

    one.remember = away
    one.child_spawner = SimpleNamespace(status=Status(State.RUNNING))
    one.looked()
    assert "alice:tooth: how it stands could not be followed" in caplog.text
    one.remember = lambda: None
    one.looked()
    assert one.led == [False, True]


def test_what_stood_still_in_another_run_is_none_of_this_ones():
    one = Stands()
    one.says(State.SUSPENDED, held=True)
    one.kept.runs_since = datetime(2026, 1, 2, tzinfo=UTC)
    assert not one.withheld
