"""What the portal keeps of a start that waits, and what it says of room and of ends: without a site."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from visa_portal import words
from visa_portal.handlers.extending import choices
from visa_portal.hub import HubDown
from visa_portal.models import Options, Plan, Profile, Session
from visa_portal.ranking import best_plan
from visa_portal.rooms import Rooms
from visa_portal.starts import PATIENCE_SECONDS, Start, _Following

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def plan(name="p", **free) -> Plan:
    return Plan.model_validate({"name": name, "free": free})


@pytest.mark.parametrize(
    ("free", "said"),
    [
        ({"sessions": 2, "words": "24 of 32 cores free", "queue": True}, "24 of 32 cores free"),
        (
            {"sessions": 0, "words": "0 of 32 cores free.", "queue": True},
            "0 of 32 cores free. Waits in the queue",
        ),
        ({"sessions": 0, "words": "", "queue": True}, "No room now. Waits in the queue"),
        ({"sessions": 0, "words": "<b>", "queue": False}, "&lt;b&gt;"),
    ],
)
def test_room_with_a_queue(free, said):
    assert words.room(plan(**free)) == said


def test_the_expected_start_is_a_time():
    said = words.room(plan(sessions=0, words="full", queue=True, expected="2026-11-29T13:05:00+00:00"))
    assert said.endswith('expected <time datetime="2026-11-29T13:05:00Z" data-clock>13:05 UTC</time>')


def test_a_queue_comes_after_room_and_before_none():
    none, queue, room = (
        plan("none", sessions=0),
        plan("queue", sessions=0, queue=True),
        plan("room", sessions=1),
    )
    assert best_plan(Profile(name="a", plans=(none, queue, room))).name == "room"
    assert best_plan(Profile(name="a", plans=(none, queue))).name == "queue"
    assert best_plan(Profile(name="a", plans=(none,))).name == "none"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (31, ""),
        (29, "Ends in less than 30 minutes"),
        (5.5, "Ends in less than 30 minutes"),
        (4, "Ends in less than 5 minutes"),
        (-1, "Ends in less than 5 minutes"),
    ],
)
def test_a_near_end(minutes, said):
    session = Session(owner="a", name="b", state="running", ends=NOW + timedelta(minutes=minutes))
    assert words.ending(session, NOW) == said
    assert words.ending(session.model_copy(update={"state": "stopped"}), NOW) == ""


def test_by_how_much_it_may_be_extended():
    session = Session(owner="a", name="b", state="running", may_extend=10)
    assert choices(session) == (1, 2, 4, 8, 10)
    assert choices(session.model_copy(update={"may_extend": 0.5})) == (0.5,)
    assert choices(session.model_copy(update={"may_extend": 2.6})) == (1, 2)
    assert choices(session.model_copy(update={"may_extend": 335.6}))[-2:] == (168, 312)
    assert choices(session.model_copy(update={"may_extend": 0})) == ()
    assert choices(session.model_copy(update={"state": "stopped"})) == ()


def told(start) -> list[str]:
    return [step.words for step in start.steps]


def test_days_in_a_queue_are_one_step():
    start = Start("alice", "a")
    start.add("Checked the request")
    for place in range(999, 0, -1):
        start.add(f"{place} before you", queued=True)
    assert told(start) == ["Checked the request", "1 before you"]
    assert start.queued
    start.add("Running on n1")
    start.add("2 before you", queued=True)
    start.add("1 before you", queued=True)
    assert told(start) == ["Checked the request", "1 before you", "Running on n1", "1 before you"]


async def test_who_watches_is_told_the_newest_step_and_each_once():
    start, heard = Start("alice", "a"), []
    start.add("Checked the request")

    async def watch():
        async for step in start.watch(heartbeat=60):
            heard.append(step.words)

    task = asyncio.create_task(watch())
    await asyncio.sleep(0)
    for place in (3, 2, 1):
        start.add(f"{place} before you", queued=True)
        await asyncio.sleep(0)
    start.add("0 before you", queued=True)
    start.add("Running on n1")
    start.end("ready")
    await task
    assert heard[0] == "Checked the request"
    assert heard[-2:] == ["0 before you", "Running on n1"]
    assert len(heard) == len(set(heard))


def test_a_hub_that_is_away_for_a_while_does_not_end_what_has_waited_for_long():
    start = Start("alice", "a", began=datetime.now(UTC) - timedelta(days=2))
    following = _Following(None, start, "token", False, None)
    following._down()
    assert start.finished is None
    following.down_since -= timedelta(seconds=PATIENCE_SECONDS + 1)
    following._down()
    assert start.state == "failed"


class Asked:
    """A hub that counts the questions."""

    def __init__(self, *plans):
        self.answer = Options(profiles=(Profile(name="a", plans=plans),))
        self.count, self.down = 0, False

    async def options(self, token):
        self.count += 1
        await asyncio.sleep(0)
        if self.down:
            raise HubDown
        return self.answer


async def test_one_question_for_all_who_look():
    hub = Asked(plan("p", sessions=1))
    rooms = Rooms(hub, fresh_seconds=0.2)
    found = await asyncio.gather(*(rooms.look("token", "alice") for _ in range(50)))
    assert hub.count == 1
    assert found[0]["a", "p"].free.sessions == 1
    # Bob may use what alice may: the hub has to say so once.
    await asyncio.gather(*(rooms.look("token", name) for name in ("alice", "bob") * 20))
    assert hub.count == 2
    hub.answer = Options(profiles=(Profile(name="a", plans=(plan("p", sessions=0),)),))
    await asyncio.sleep(0.25)
    found = await asyncio.gather(*(rooms.look("token", name) for name in ("alice", "bob") * 20))
    assert hub.count == 3
    assert {one["a", "p"].free.sessions for one in found} == {0}


async def test_nobody_is_shown_plans_that_the_hub_did_not_offer_them():
    hub = Asked(plan("staff", sessions=1))
    rooms = Rooms(hub, fresh_seconds=60)
    await rooms.look("token", "heidi")
    hub.answer = Options(profiles=(Profile(name="a", plans=(plan("all", sessions=1),)),))
    assert set(await rooms.look("token", "alice")) == {("a", "all")}
    assert set(await rooms.look("token", "heidi")) == {("a", "staff")}


async def test_a_hub_that_is_down_is_not_asked_by_each_of_many():
    hub = Asked(plan("p", sessions=1))
    hub.down = True
    rooms = Rooms(hub, fresh_seconds=0.2)
    found = await asyncio.gather(*(rooms.look("token", "alice") for _ in range(50)), return_exceptions=True)
    assert all(isinstance(one, HubDown) for one in found)
    assert hub.count == 1
    hub.down = False
    await asyncio.sleep(0.25)
    assert await rooms.look("token", "alice")
