"""What the video stream passes on, allows and tells selkies, looked at without any of it running."""

from __future__ import annotations

import ast
import contextlib
import json
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

from visa_session.contract import SessionInfo
from visa_session.stream import calls, messages, relay, settings, viewers

from .watcher import HOSTILE


def test_nobody_measures_for_ever():
    allowance = calls.Allowance()
    whole = calls.A_MINUTE // calls.LARGEST
    assert all(allowance.takes("vera", calls.LARGEST, 60.0) for _ in range(whole))
    assert not allowance.takes("vera", 1, 119.0)
    assert allowance.takes("carl", 1, 119.0), "another's is another's"
    assert allowance.takes("vera", 1, 120.0)
    assert all(allowance.takes("carl", 0, 120.0) for _ in range(calls.ANSWERS))
    assert not allowance.takes("carl", 0, 121.0)


def test_words_are_allowed_by_list():
    assert [word for number, word in enumerate(HOSTILE) if messages.Said().to_selkies(word, number)] == []
    told = json.dumps({"type": "stream_resolution", "width": 1})
    assert messages.to_browser(told) == told
    for other in (
        '{"type": "server_settings"}',
        "clipboard,bWluZQ==",
        "cursor,{}",
        "{",
        "KILL x",
        "AUTH_SUCCESS,{}",
    ):
        assert messages.to_browser(other) is None, other
    budget = messages.Budget(most=2)
    assert [budget.takes(100.0) for _ in range(4)] == [True, True, False, False]
    assert budget.takes(100.5)
    slow = messages.Budget(most=2, seconds=60.0)
    assert [slow.takes(when) for when in (100.0, 100.0, 129.0, 131.0)] == [True, True, False, True]


def test_words_that_change_nothing_are_dropped():
    said, (start, stop, ask) = messages.Said(), ("START_VIDEO", "STOP_VIDEO", "REQUEST_KEYFRAME")
    wanted = [start, stop, stop, start, start, ask, ask]
    assert [said.to_selkies(word, when) for when, word in enumerate(wanted)] == [
        *(None, stop, None, start, None, ask, ask)
    ]
    assert [said.to_selkies(ask, 10.0) for _ in range(messages.MOST_WORDS + 1)][-2:] == [ask, None]


def test_nobody_takes_the_places_of_others():
    people = viewers.Viewers(SimpleNamespace(info=SessionInfo(owner="alice", name="x")))

    def opened(person, now=0.0):
        with contextlib.suppress(viewers.Crowded):
            return places.enter_context(people.place(person, now))
        return "refused"

    with contextlib.ExitStack() as places:
        assert [opened("vera") for _ in range(viewers.EACH + 1)] == [*[None] * viewers.EACH, "refused"]
        assert [opened(f"guest-{n}") for n in range(viewers.MOST)] == [
            *[None] * (viewers.MOST - 1),
            "refused",
        ]
        assert [opened("alice") for _ in range(viewers.EACH + 1)] == [*[None] * viewers.EACH, "refused"]
        assert opened("guest-0") is None, "who is among them already"
    places = contextlib.ExitStack()
    assert opened("guest-7") is None, "when they have gone there is room"
    came = 0
    for _ in range(2 * viewers.OPENINGS):
        with contextlib.suppress(viewers.Crowded), people.place("carl", 100.0):
            came += 1
    assert came == viewers.OPENINGS
    with people.place("carl", 100.0 + viewers.WITHIN / viewers.OPENINGS + 0.1):
        pass


def test_what_selkies_is_told_follows_from_the_plan():
    """No machine of these tests has a GPU: what it would be told is looked at, not what comes of it."""

    def told(**info) -> dict[str, str]:
        about = SessionInfo(owner="alice", name="x", **info)
        options = settings.options(about, Path("/private/socket"), Path("/private/nothing"))
        return dict(option.removeprefix("--").split("=", 1) for option in options)

    plain = told()
    assert {plain[name] for name in settings.OFF} == {"false"}
    assert (plain["use-cpu"], plain["auto-gpu"], plain["framerate"]) == ("true", "false", "60-60")
    assert "encode-dri" not in plain
    assert told(stream_rate=15)["framerate"] == "15-15"
    nvidia = told(gpus=("/dev/nvidia0", "/dev/nvidiactl"))
    assert (nvidia["use-cpu"], nvidia["auto-gpu"]) == ("false", "true")
    assert "encode-dri" not in nvidia
    assert told(gpus=("/dev/dri/card0", "/dev/dri/renderD129"))["encode-dri"] == "/dev/dri/renderD129"
    known = {name["name"].replace("_", "-") for name in selkies_settings()}
    assert set(plain) | {"encode-dri"} <= known, "selkies ignores what it does not know"


def selkies_settings() -> list[dict]:
    """The settings that the installed selkies has, read without running any of it."""
    source = files("selkies").joinpath("settings.py").read_text()
    for node in ast.walk(ast.parse(source)):
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if getattr(target, "id", "") == "SETTING_DEFINITIONS":
            return ast.literal_eval(node.value)
    raise AssertionError("no settings")


async def test_answers_to_pings_are_bounded_too():
    passed = []

    async def pong(data):
        passed.append(data)

    async def tell(sending):
        await sending

    here = SimpleNamespace(selkies=SimpleNamespace(pong=pong), _tell=tell, pongs=messages.Budget(60))
    for _ in range(1000):
        await relay.StreamSocket.on_pong(here, b"")
    assert 60 <= len(passed) < 200
