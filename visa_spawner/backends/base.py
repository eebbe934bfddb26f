"""What every backend offers to `VisaSpawner`: a child spawner that knows how to say where it stands.

A backend is a JupyterHub Spawner (the one its engine's community keeps) plus this mixin. `VisaSpawner`
sets `session` before `start`, calls `remember` whenever the backend learns what identifies the remote
thing, and asks `status`, which is kept up by one watch per backend, never by a query per session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from traitlets import Any, HasTraits, Instance

from ..session import SessionPlan, Status


class Backend(HasTraits):
    """A place where sessions run."""

    #: What to start; None on a spawner that was restored from the database and is only watched.
    session = Instance(SessionPlan, allow_none=True)

    #: Called without arguments when the state to be kept has changed: commits it at once, so that a hub
    #: killed right after finds the remote thing again.
    remember: Callable[[], None] = Any(lambda: None)

    @property
    def status(self) -> Status | None:
        """What the backend's own watch last said of this session; None before it said anything."""
        raise NotImplementedError

    async def events(self) -> AsyncIterator[Status]:
        """Each step of a start, in plain words, as it happens; ends when the session's process runs."""
        raise NotImplementedError
        yield

    async def last_lines(self, count: int = 40) -> list[str]:
        """The end of the session's own log, for staff; empty where there is none."""
        return []
