"""What the container backend says of all its nodes together, for no session in particular."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from traitlets.config import Config, LoggingConfigurable

from ..running.made_often import MadeOften
from ..session import Availability, Image, NodeState, Resources, Start, WarmPair
from .base import Backend
from .fleet import Fleet
from .images import nodes_with
from .settings import ContainerSettings
from .spec import image_name


class SettingsAlone(ContainerSettings, LoggingConfigurable):
    """The settings of containers, for what is made for no session."""


class OnNodes(MadeOften, Backend, ContainerSettings):
    """A backend on the nodes of a fleet."""

    # The fleet's, once for all.
    not_for_each = {"ContainerBackend": frozenset({"nodes"})}

    _fleet: Fleet | None = None

    @property
    def fleet(self) -> Fleet:
        """The nodes this backend's settings name, shared with all its like."""
        # Asked for at every look at every session: the settings of all nodes are not compared each time.
        if self._fleet is None or self._fleet.closed:
            self._fleet = Fleet.of(self.config)
        return self._fleet

    @classmethod
    async def image(cls, recipe: str, digest: str, config: Config) -> Image | None:
        """As the first node that answers and has it says."""
        settings = config.get("ContainerBackend", {})
        template = settings.get("image_template", cls.image_template.default_value)
        found = await nodes_with(Fleet.of(config), digest or image_name(template, recipe))
        return next(iter(found.values()), None)

    @classmethod
    async def lacks(cls, recipe: str, config: Config) -> bool:
        """Whether no node that answers has it."""
        return await cls.image(recipe, "", config) is None

    @classmethod
    async def availability(cls, resources: Resources, config: Config, hours: float = 8) -> Availability:
        """What could start now, by the books."""
        fleet = Fleet.of(config)
        await fleet.ready()
        return fleet.placement.availability(resources)

    @classmethod
    async def look(cls, config: Config) -> None:
        """Watch the nodes."""
        await Fleet.of(config).look()

    @classmethod
    async def sweep(cls, live: Callable[[], set[str]], config: Config) -> None:
        """Remove this hub's containers that belong to no session."""
        await Fleet.of(config).sweep(live)

    @classmethod
    async def nodes(cls, config: Config) -> list[NodeState]:
        """The nodes of the settings, as they were last seen."""
        fleet = Fleet.of(config)
        await fleet.ready()
        return fleet.states()

    @classmethod
    def keep_waiting(cls, pairs: Iterable[WarmPair], starts: Iterable[Start], config: Config) -> None:
        """Have them wait on the nodes of the hub's own machine, within `warm_memory`."""
        own = config.get("ContainerBackend", {})
        settings = SettingsAlone(config=Config({"SettingsAlone": own}))
        Fleet.of(config).warm.tell(pairs, starts, settings.image_template, settings.limits)

    @classmethod
    def drain_by(cls, closed: Callable[[str], str | None], config: Config) -> None:
        """Ask before each new session whether its node is closed."""
        Fleet.of(config).placement.closed = closed
