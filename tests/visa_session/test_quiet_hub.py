"""What a session does not ask of a hub that has thousands of them."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from jupyterhub.singleuser.extension import JupyterHubSingleUser

from visa_session import line as lines
from visa_session.hubcalls import HubFailed
from visa_session.line import Line
from visa_session.singleuser import SessionApp


async def test_activity_is_told_when_there_was_any_and_not_again(monkeypatch):
    told = []

    async def notify(self):
        self._last_activity_sent = self.serverapp.web_app.last_activity()
        told.append(self._last_activity_sent)

    monkeypatch.setattr(JupyterHubSingleUser, "notify_activity", notify)
    app = SessionApp.__new__(SessionApp)
    now = datetime(2026, 11, 1, tzinfo=UTC)
    last = [now]
    server = SimpleNamespace(web_app=SimpleNamespace(last_activity=lambda: last[0]))
    monkeypatch.setattr(SessionApp, "serverapp", server, raising=False)
    for _ in range(3):
        await SessionApp.notify_activity(app)
    assert told == [now]
    last[0] = now + timedelta(seconds=1)
    for _ in range(3):
        await SessionApp.notify_activity(app)
    assert told == [now, last[0]]


class Members:
    """Nobody's table."""

    lost = 0
    trust_seconds = 0

    def line_lost(self):
        self.lost += 1

    def forget(self):
        pass


@pytest.fixture
def waits(monkeypatch):
    """Runs a line on a hub until it has waited five times; gives what it waited, in seconds."""

    async def run(open_):
        waited, wanted = [], 5
        sleep = asyncio.sleep

        async def noted(seconds):
            waited.append(seconds)
            if len(waited) >= wanted:
                raise asyncio.CancelledError
            await sleep(0)

        monkeypatch.setattr(lines, "ANSWER_LIMIT", 0.01)
        monkeypatch.setattr(lines.random, "uniform", lambda low, high: high)
        monkeypatch.setattr(lines.asyncio, "sleep", noted)
        with pytest.raises(asyncio.CancelledError):
            await Line(SimpleNamespace(open=open_), Members()).run()
        monkeypatch.setattr(lines.asyncio, "sleep", sleep)
        return waited

    return run


async def test_a_hub_that_is_away_is_tried_again_soon(waits):
    async def away(*args, **others):
        raise HubFailed("connection refused")

    assert await waits(away) == [0.2, 0.4, 0.8, 1.6, 2.0]


async def test_a_hub_that_has_too_much_to_do_is_asked_less_often(waits):
    async def busy(*args, **others):
        await asyncio.Event().wait()

    assert await waits(busy) == [lines.BUSY_WAIT] * 5
    assert lines.BUSY_WAIT > lines.LONGEST_WAIT
