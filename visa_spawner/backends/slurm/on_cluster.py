"""What the Slurm backend says of its whole cluster, for no session in particular."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from traitlets import observe
from traitlets.config import Config

from ...session import Availability, Image, NodeState, Resources, Start, WarmPair
from ..base import Backend
from . import trees
from .clients.base import SlurmSilent
from .cluster import Cluster
from .settings import SlurmSettings


class OnCluster(Backend, SlurmSettings):
    """A backend on one Slurm cluster."""

    _cluster: Cluster | None = None

    @property
    def cluster(self) -> Cluster:
        """The cluster that this backend's settings describe, shared with all its like."""
        # Kept, since to read the settings again at each look would cost more than the look.
        if self._cluster is None or self._cluster.gone:
            self._cluster = Cluster.of(self.config)
        return self._cluster

    @observe("reported_port")
    def _listens(self, change) -> None:
        """A session that says where it listens runs: nobody is to wait for the look that is due."""
        if change.new and self.mark and not self._runs():
            self.cluster.monitor.look_soon()

    @classmethod
    async def image(cls, recipe: str, digest: str, config: Config) -> Image | None:
        """As far as the hub's own machine sees the images of the nodes."""
        template = Cluster.of(config).image_template
        return await asyncio.to_thread(trees.image, template, recipe, digest)

    @classmethod
    async def lacks(cls, recipe: str, config: Config) -> bool:
        """As far as the hub's own machine sees the images of the nodes."""
        return await asyncio.to_thread(trees.lacks, Cluster.of(config).image_template, recipe)

    @classmethod
    async def availability(cls, resources: Resources, config: Config, hours: float = 8) -> Availability:
        """What could start now, by the nodes as they were a moment ago."""
        cluster = Cluster.of(config)
        found = await cluster.capacity.availability(resources, hours)
        if found.sessions or not (kept := cluster.room.free(resources)):
            return found
        such = "one such session" if kept == 1 else f"{kept} such sessions"
        return replace(found, sessions=kept, words=f"Room for {such} is kept free.", expected=None)

    @classmethod
    async def look(cls, config: Config) -> None:
        """Watch the queue."""
        await Cluster.of(config).monitor.fresh()

    @classmethod
    async def sweep(cls, live: Callable[[], set[str]], config: Config) -> None:
        """Cancel this hub's jobs that belong to no session."""
        await Cluster.of(config).sweep()

    @classmethod
    def keep_waiting(cls, pairs: Iterable[WarmPair], starts: Iterable[Start], config: Config) -> None:
        """Keep room for sessions of these pairs, within `seats`."""
        Cluster.of(config).room.tell(pairs, starts)

    @classmethod
    async def nodes(cls, config: Config) -> list[NodeState]:
        """The cluster's nodes, as they were a moment ago; none while the cluster does not answer."""
        cluster = Cluster.of(config)
        try:
            return await cluster.capacity.states(cluster.sessions_by_node())
        except SlurmSilent:
            return []

    @classmethod
    def drain_by(cls, closed: Callable[[str], str | None], config: Config) -> None:
        """Ask before each new session which nodes are closed to it."""
        Cluster.of(config).closed = closed
