"""What an operator may turn about containers and their nodes, written as `c.ContainerBackend.*`."""

from __future__ import annotations

import re

from jupyterhub.traitlets import ByteSpecification
from traitlets import Dict, Float, Integer, List, TraitError, Unicode, validate

from .nodes import read_nodes
from .spec import Limits
from .warm.settings import WarmSettings

_HUB_ID = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"


class FleetSettings(WarmSettings):
    """Settings of all nodes together."""

    hub_id = Unicode(
        help="""A name for this hub, its own on every engine it uses: lower-case letters, digits and `-`.

        Each container carries it, and the sweep removes those that carry it and belong to no session. Two
        hubs with one id would remove each other's sessions; a changed id orphans the running ones.
        """,
    ).tag(config=True)
    nodes = List(
        help="""The machines sessions run on, one dictionary each; see docs/operators/nodes.md.

        More nodes, or more `cpus` and `memory` on one, let more sessions start. `drained: True` keeps
        what runs there and lets nothing new start.
        """,
    ).tag(config=True)
    watch_interval = Float(
        3.0,
        help="""Seconds between two looks at a node where sessions run. Shorter: an ended session is seen
        sooner; each look costs the engine a few milliseconds, however many sessions there are.""",
    ).tag(config=True)
    idle_watch_interval = Float(
        30.0,
        help="Seconds between two looks at a node where nothing runs. Shorter: its death is seen sooner.",
    ).tag(config=True)
    engine_timeout = Float(
        60.0,
        help="""Seconds an engine may take for one step of a start or stop. Too short for a busy engine and
        starts fail; too long and a start on a hung engine takes as long to fail.""",
    ).tag(config=True)
    watch_timeout = Float(
        5.0, help="Seconds without an answer after which a node's sessions are shown as unknown."
    ).tag(config=True)
    stop_grace = Integer(
        5,
        help="Seconds between asking a session to end and killing it. Longer: more time to save at the end.",
    ).tag(config=True)

    @validate("hub_id")
    def _check_hub_id(self, proposal):
        if not re.fullmatch(_HUB_ID, proposal.value):
            raise TraitError(
                "ContainerBackend.hub_id must be 1-32 lower-case letters, digits and inner hyphens"
            )
        return proposal.value

    @validate("nodes")
    def _check_nodes(self, proposal):
        try:
            read_nodes(proposal.value)
        except ValueError as error:
            raise TraitError(f"ContainerBackend.{error}") from None
        return proposal.value


class ContainerSettings(FleetSettings):
    """Settings of each container, beside those of the nodes."""

    image_template = Unicode(
        "localhost/visa/{recipe}:latest",
        help="""The image's name, with `{recipe}` standing for the profile's image. Change it to take
        images of a registry's name; they must be on each node already, nothing is pulled at a start.""",
    ).tag(config=True)
    shm_size = ByteSpecification(
        "1G",
        help="""Size of /dev/shm, a part of the plan's memory. Larger: more room for programs that share
        arrays between processes; what they put there counts as their memory.""",
    ).tag(config=True)
    tmp_fraction = Float(
        0.25,
        min=0,
        max=1,
        help="""Share of the plan's memory that /tmp and /var/tmp may each hold, in memory. Larger: more room
        for temporary files and less for programs when it is used. 0 puts them on the node's disk, which one
        session can then fill for all.""",
    ).tag(config=True)
    process_limit = Integer(
        4096, help="Processes and threads a session may have. Lower: a runaway program ends sooner."
    ).tag(config=True)
    ulimits = Dict(
        help="""Limits for each process, as `{"nofile": (soft, hard)}`. Empty: the engine's own. Podman
        replaces all its own by these, so name each limit that must hold.""",
    ).tag(config=True)

    @property
    def limits(self) -> Limits:
        """What holds for every container."""
        return Limits(self.shm_size, self.tmp_fraction, self.process_limit, dict(self.ulimits))
