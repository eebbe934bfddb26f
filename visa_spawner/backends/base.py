"""What every backend offers to `VisaSpawner`: a child spawner that knows how to say where it stands.

A backend is a JupyterHub Spawner (the one its engine's community keeps) plus this mixin. `VisaSpawner`
sets `session` before `start`, calls `remember` whenever the backend learns what identifies the remote
thing, and asks `status`, which is kept up by one watch per backend, never by a query per session.

What the Spawner's own methods mean here:

`start`
    makes and starts the remote thing and returns when its process runs (or is queued). What it returns
    is not used: the session says by itself that it listens (`reported_port`), and `address` tells where.
    Raises `StartRefused` when there is no room. It may be cancelled at any await: `stop` then ends and
    removes whatever it had made, also what the backend never learnt the id of.
`poll`
    None while the session runs, and also while the backend cannot tell; an integer exit code only on the
    backend's own word that the process has ended.
`stop`
    ends and removes everything; harmless when there is nothing. Raises when the backend does not answer.
`get_state`, `load_state`, `clear_state`
    what identifies the remote thing, as JSON; no secret in it.

The environment is `session.environment`, whole: `Spawner.get_env` of the backend is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime

from traitlets import Any, HasTraits, Instance, Integer, Unicode
from traitlets.config import Config

from ..session import (
    Availability,
    Bind,
    Image,
    NodeState,
    Resources,
    SessionPlan,
    Start,
    StartRefused,
    State,
    Status,
    Usage,
    WarmPair,
)

#: Why a session is not suspended, or does not go on, that cannot be: in words for its owner.
NOT_SUSPENDED = "it cannot be suspended now"
NOT_RESUMED = "it is not suspended, or cannot go on"

#: Seconds between two looks at `status` where a backend has no quicker way to learn that a session ended.
LOOK_INTERVAL = 0.2


class Backend(HasTraits):
    """A place where sessions run."""

    #: Whether a restarted hub makes it for all that run before it answers anybody, rather than when one is
    #: first asked for. False only where nothing is ended or given to others for want of a session's claim.
    found_at_once = True

    #: What to start; None on a spawner that was restored from the database and is only watched.
    session = Instance(SessionPlan, allow_none=True)

    #: Called without arguments when the state to be kept has changed: commits it at once, so that a hub
    #: killed right after finds the remote thing again.
    remember: Callable[[], None] = Any(lambda: None)

    #: The port on which the session said that it listens; 0 until it did. Set by `VisaSpawner`, also on a
    #: restored spawner.
    reported_port = Integer(0)

    #: The machine the session is on, for staff; empty where there is none to name.
    node_name = Unicode()

    #: Seconds that a start may wait for its place, beside `start_timeout`; 0 where there is no queue.
    queue_limit = 0.0

    #: Whether what leads to the cluster can be bound in its sessions: sockets of the host's, among others.
    reaches_cluster = True

    #: Called without arguments when the backend starts the same session anew by itself, as a cluster does
    #: with a job that it puts back into the queue: gives a new token, committed before it returns. The last
    #: one is good for nothing from then on, and the session may name another port. Empty when the session is
    #: being ended, or has. Set by `VisaSpawner`.
    renew_token: Callable[[], str] = Any(lambda: "")

    #: Called without arguments when a look may have changed how the session stands. Set by `VisaSpawner`.
    looked: Callable[[], None] = Any(lambda: None)

    #: Called once a start with the image that the session really gets, as soon as that is known. Gives the
    #: text of its passport, to stand at `PASSPORT` inside, where nobody may change it; empty: no file.
    #: Set by `VisaSpawner`.
    stamp: Callable[[Image], str] = Any(lambda image: "")

    @classmethod
    async def image(cls, recipe: str, digest: str, config: Config) -> Image | None:
        """The image of a recipe that a start would get now, without its packages; None where there is none.

        With a `digest` that very one, whatever recipe it is of. Raises what says that nobody answers.
        """
        return None

    @classmethod
    async def lacks(cls, recipe: str, config: Config) -> bool:
        """Whether a start would find no image of this recipe; False where that cannot be told."""
        return False

    @classmethod
    async def availability(cls, resources: Resources, config: Config, hours: float = 8) -> Availability:
        """What could start now, from the watch's last word; `config` is the hub's, for the class's traits.

        `hours` is how long a session of the plan lives unless asked otherwise, for an expected start.
        """
        raise NotImplementedError

    @classmethod
    async def look(cls, config: Config) -> None:
        """Have what there is looked at from now on, as a sweep does, and end nothing."""

    @classmethod
    async def sweep(cls, live: Callable[[], set[str]], config: Config) -> None:
        """Remove what this backend made for sessions that are no more.

        Called once after the hub's start and every few minutes. Ask `live` (the keys `OWNER/NAME` of the
        sessions that run or start) only after listing what exists, so that nothing that starts meanwhile
        is taken for a leftover.
        """

    @classmethod
    async def nodes(cls, config: Config) -> list[NodeState]:
        """The machines of this backend, by the watch's last word; none where none can be named."""
        return []

    @classmethod
    def drain_by(cls, closed: Callable[[str], str | None], config: Config) -> None:
        """Ask `closed` about a node before each new session there.

        It gives None for a node that is open, else the words for whoever wants to start one, which may be
        empty. It is asked often and must be quick. What runs on a closed node stays.
        """

    @classmethod
    def audit_by(cls, tell: Callable[..., None], config: Config) -> None:
        """Call `tell` with what belongs into the audit log: a kind of line, and what it says by name.

        Called once after the hub's start. `tell` may be called in the hub's loop alone.
        """

    @classmethod
    def keep_waiting(cls, pairs: Iterable[WarmPair], starts: Iterable[Start], config: Config) -> None:
        """Have containers wait for sessions of these pairs, as many as are started, where that can be.

        Called once after the hub's start, with what was started lately.
        """

    @property
    def status(self) -> Status | None:
        """What the backend's own watch last said of this session; None before it said anything."""
        raise NotImplementedError

    async def address(self) -> str | None:
        """`http://HOST:PORT` where the session's server is reached now, by `reported_port`.

        None as long as it cannot be told.
        """
        raise NotImplementedError

    def may_have_ended(self) -> bool:
        """Whether `poll` has to be asked: False only where the watch's last word leaves no doubt.

        Asked about each session every few seconds, so it must be quick.
        """
        return True

    async def ended(self) -> Status:
        """Wait until, on the backend's own word, the session's process has ended."""
        while True:
            status = self.status
            if status is not None and status.state in (State.STOPPED, State.FAILED):
                return status
            await asyncio.sleep(LOOK_INTERVAL)

    async def placed(self) -> None:
        """Return when the session's process runs; at once where there is no queue.

        Never raises: a session that ends in the queue is `ended`.
        """

    def ends(self) -> datetime | None:
        """When the backend itself will end the session, UTC; None where it will not."""
        return None

    async def extend(self, until: datetime) -> datetime:
        """Have the backend end the session later, if it ends it at all; gives the new end.

        Raises StartRefused, in words for the owner, where that cannot be.
        """
        return until

    async def events(self) -> AsyncIterator[Status]:
        """Each step of a start, in plain words, as it happens; ends when the session's process runs.

        Iterated once a start, also by a restarted hub that goes on with it, and once more after each
        `renew_token`. It may go on for days while the session waits for its place.
        """
        raise NotImplementedError
        yield

    @property
    def may_suspend(self) -> bool:
        """Whether the session can be suspended now: kept as it is, its programs standing still."""
        return False

    @property
    def may_resume(self) -> bool:
        """Whether it is suspended, and can go on where it was, as soon as there is room."""
        return False

    async def suspend(self) -> None:
        """Have it stand still; returns when it does, which may take minutes. `status` says so meanwhile.

        Goes on to its end when the caller is cancelled. Raises StartRefused in words for the owner.
        """
        raise StartRefused(NOT_SUSPENDED, field="session", status=409)

    async def resume(self) -> None:
        """Have it go on; as `suspend`. Where it cannot, it is suspended still."""
        raise StartRefused(NOT_RESUMED, field="session", status=409)

    @property
    def fixed_data(self) -> str:
        """In words for the owner, why a running session here keeps the data it started with; "" where not."""
        return "its data can be chosen at the start alone here; start a new session with all that you need"

    async def add_data(
        self, binds: Sequence[Bind], links: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Mount more directories in the running session, and make links to them; all or nothing.

        `texts` are small files that only root may change, by their place. Raises StartRefused, in words for
        the owner; anything else means that it may have been done.
        """
        raise StartRefused(self.fixed_data, field="session", status=409)

    async def remove_data(
        self, targets: Sequence[str], links: Sequence[str], texts: Mapping[str, str]
    ) -> None:
        """Take mounts and links away, as far as they are there; raises as `add_data`."""
        raise StartRefused(self.fixed_data, field="session", status=409)

    async def last_lines(self, count: int = 40) -> list[str]:
        """The end of the session's own log, for staff; empty where there is none."""
        return []

    async def usage(self) -> Usage | None:
        """What the session takes now, for staff; None where that is not known. Many may ask at once."""
        return None
