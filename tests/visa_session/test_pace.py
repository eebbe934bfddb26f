"""How many pictures a second the video stream makes: no more than is shown in time."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest

from visa_session import assets
from visa_session.stream import messages
from visa_session.stream.pace import LEAST, Pace

from .hubside import later
from .moving import Moving
from .watcher import Watcher


@pytest.fixture
def told():
    return []


@pytest.fixture
def pace(told):
    return Pace(60, told.append)


def test_it_goes_by_the_slowest_of_those_who_act(pace, told):
    for who in ("alice", "carl"):
        pace.comes(who, acts=True)
    assert told == [], "who comes takes all"
    pace.takes("alice", 40)
    pace.takes("carl", 25)
    pace.takes("carl", 25)
    assert told == [40, 25]
    pace.gone("carl")
    assert told == [40, 25, 40]
    pace.gone("alice")
    assert told[-1] == 60


def test_who_only_watches_slows_nobody_who_acts(pace, told):
    pace.comes("vera", acts=False)
    pace.takes("vera", 20)
    assert told == [20], "alone it is for her"
    pace.comes("alice", acts=True)
    pace.takes("vera", 12)
    assert told == [20, 60]


def test_no_word_goes_below_the_least_or_counts_without_a_page(pace, told):
    pace.takes("stranger", 20)
    pace.comes("alice", acts=True)
    pace.takes("alice", 0)
    assert told == [LEAST]


def test_the_word_is_a_number_and_nothing_else():
    numbers = {"PACE 25": 25, "PACE 99": 60, "PACE 0": 0}
    assert {word: messages.pace_of(word) for word in numbers} == numbers
    for word in ("PACE", "PACE ", "PACE -1", "PACE 1.5", "PACE 100", "PACE ²", "25", "PACE 25 ", "pace 25"):
        assert messages.pace_of(word) is None, word
    said = messages.Said()
    answers = [said.pace("PACE 25", 0.0) for _ in range(messages.MOST_WORDS + 1)]
    assert answers[-2:] == [25, None], "so many words in a second"


def looks(*seen: tuple[int, int]) -> list[int]:
    """The rates that the page's own script asks for, after looks: what came a second, what waited."""
    node, _ = assets.node_programs()
    script = f"""
    import {{ Pace }} from {json.dumps((assets.SOURCES / "pace.js").as_uri())};
    const pace = new Pace();
    console.log(JSON.stringify({json.dumps(seen)}.map((one) => (pace.look(...one), pace.rate))));
    """
    command = [node, "--input-type=module", "-e", script]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=30).stdout)


def test_the_page_asks_for_less_at_once_and_seldom_for_more():
    assert looks((58, 0), (50, 9), (38, 3)) == [60, 40, 40], "what came fits"
    assert looks((30, 9), (24, 9)) == [26, 17]
    assert looks((50, 9), *[(38, 1)] * 10, (58, 0)) == [60 if at > 9 else 40 for at in range(12)]
    assert looks(*[(9, 20)] * 3) == [11] * 3, "the lowest, and no lower"
    assert looks(*[(60, 0)] * 9) == [60] * 9


def test_while_little_moves_the_page_asks_for_no_other_rate():
    assert looks((50, 9), *[(8, 0)] * 100)[-1] == 40


def test_the_page_waits_longer_with_a_rate_that_was_too_much():
    again = [(50, 9), *[(38, 1)] * 10]
    assert looks(*again, *again)[-1] == 40, "twice as long now"
    assert looks(*again, *again, *[(38, 1)] * 10)[-1] == 60


async def rate_of(watcher: Watcher, seconds: float = 2.0) -> float:
    before = watcher.pictures
    with pytest.raises(TimeoutError):
        await watcher.sees(10**6, seconds)
    return (watcher.pictures - before) / seconds


async def test_the_encoder_makes_what_is_asked_for(shared_session, site):
    vera = site.person("vera")
    site.share("alice", shared_session.name, "vera")
    await later(shared_session.get, "desktop/")
    moving = await later(Moving, shared_session)
    try:
        await later(moving.tell, "move")
        viewer = await Watcher.connect(shared_session, vera)
        owner = await Watcher.connect(shared_session)
        await asyncio.gather(viewer.sees(20), owner.sees(20))
        viewer.say(f"PACE {LEAST}")
        before = await rate_of(owner)
        assert before > 1.2 * LEAST, "who only watches slows nobody"
        owner.say(f"PACE {LEAST}")
        await owner.sees(LEAST)  # until it has heard of it
        assert LEAST / 2 < await rate_of(owner) < 1.2 * LEAST
        owner.close()
        viewer.close()
        another = await Watcher.connect(shared_session)
        await another.sees(20)
        assert await rate_of(another) > 1.2 * LEAST, "who said so has gone"
        another.close()
    finally:
        await later(moving.close)
