"""A session that does not reach the hub, by its own log."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from visa_session.contract import UNHEARD
from visa_spawner.start import unheard

LINE = f"{UNHEARD}, trying again: https://hub:8443/: no answer within 10 seconds"


@pytest.fixture
def app(monkeypatch):
    """The hub, which serves."""
    app = SimpleNamespace(http_server=object())
    monkeypatch.setattr(unheard, "JupyterHub", SimpleNamespace(instance=lambda: app))
    return app


class Child:
    """A backend's session; each look at its log gives a line more, but that `faults` come first."""

    log = logging.getLogger("test")

    def __init__(self, *faults, grows=True):
        self.faults, self.grows, self.looks = list(faults), grows, 0

    async def last_lines(self, count):
        self.looks += 1
        if self.faults:
            raise self.faults.pop(0)
        return ["Starting"] + [LINE] * (self.looks if self.grows else 1)


async def given_up(child, seconds=2.0):
    return await asyncio.wait_for(unheard.unheard(child, 0.2), seconds)


async def test_a_log_that_goes_on_saying_so_is_believed(app):
    assert await given_up(Child()) == LINE


async def test_what_it_said_before_is_not(app):
    with pytest.raises(TimeoutError):
        await given_up(Child(grows=False), 0.8)


async def test_a_log_that_cannot_be_read_ends_no_start(app, caplog):
    assert await given_up(Child(AttributeError("no body"), ValueError("torn"))) == LINE
    assert caplog.text.count("could not be read") == 2


async def test_a_hub_that_does_not_serve_yet_blames_nobody(app):
    app.http_server = None
    with pytest.raises(TimeoutError):
        await given_up(Child(), 0.8)
    app.http_server = object()
    assert await given_up(Child()) == LINE


async def test_a_session_that_is_soon_there_is_not_looked_at(app):
    child = Child()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(unheard.unheard(child, 2.0), 0.8)
    assert child.looks == 0
