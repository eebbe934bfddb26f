"""What the backend says of all machines together, for no session in particular."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from traitlets.config import Config

from ...running.made_often import MadeOften
from ...session import Availability, Image, NodeState, Resources, Start, WarmPair
from ..base import Backend
from .machines import Machines
from .settings import VMSettings


class OnMachines(MadeOften, Backend, VMSettings):
    """A backend on the machines of a hub."""

    #: A host's sockets, munge's among them, do not lead into a machine.
    reaches_cluster = False

    _machines: Machines | None = None

    @property
    def machines(self) -> Machines:
        """Those that this backend's settings describe, shared with all its like."""
        # Kept, since to compare the settings at each look would cost more than the look.
        if self._machines is None or self._machines.closed:
            self._machines = Machines.of(self.config)
        return self._machines

    @classmethod
    async def image(cls, recipe: str, digest: str, config: Config) -> Image | None:
        """As the provider has it."""
        return await Machines.of(config).make.image(recipe, digest)

    @classmethod
    async def lacks(cls, recipe: str, config: Config) -> bool:
        """Whether there is no disk of it."""
        return await cls.image(recipe, "", config) is None

    @classmethod
    async def availability(cls, resources: Resources, config: Config, hours: float = 8) -> Availability:
        """What could start now, by the books; what waits goes for a session."""
        machines = Machines.of(config)
        await machines.watch.asked_once()
        return machines.availability(resources)

    @classmethod
    async def look(cls, config: Config) -> None:
        """Watch the machines."""
        await Machines.of(config).watch.fresh()

    @classmethod
    async def sweep(cls, live: Callable[[], set[str]], config: Config) -> None:
        """Remove this hub's machines that belong to no session."""
        await Machines.of(config).sweep(live)

    @classmethod
    async def nodes(cls, config: Config) -> list[NodeState]:
        """The hosts of machines, as they were last seen."""
        machines = Machines.of(config)
        await machines.watch.asked_once()
        return machines.states()

    @classmethod
    def keep_waiting(cls, pairs: Iterable[WarmPair], starts: Iterable[Start], config: Config) -> None:
        """Have as many machines wait as the plans say."""
        Machines.of(config).pool.tell(pairs)

    @classmethod
    def drain_by(cls, closed: Callable[[str], str | None], config: Config) -> None:
        """Ask before each new session whether its host is closed."""
        Machines.of(config).placement.closed = closed

    @classmethod
    def audit_by(cls, tell: Callable[..., None], config: Config) -> None:
        """Have the provider tell what belongs into the audit log."""
        Machines.of(config).make.tell = tell
