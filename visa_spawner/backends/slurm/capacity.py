"""What the cluster could start now, and its machines for administrators; asked only while somebody looks."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ...session import Availability, NodeState, Resources
from ..words import size
from .clients.base import SlurmSilent
from .monitor import Monitor
from .reasons import shown
from .seen import Node

#: Seconds for which an expected start is told again to whoever asks.
EXPECTED_FOR = 30.0
SILENT = Availability(0, "The cluster does not answer at the moment, so what is free there is not known.")
NOWHERE = "The plan names no part of the cluster, and the cluster has none for such plans."
TOO_LARGE = "No machine of this part of the cluster has what the plan asks for"
CLOSED = "The machines for this plan take nothing new at the moment: they are down or closed by the staff."


@dataclass
class _Expected:
    """When a session with some resources would start: one question for all who want to know."""

    until: float
    start: asyncio.Task[datetime | None]


class Capacity:
    """`partition` is that of plans that name none; "" is the cluster's own default."""

    def __init__(self, monitor: Monitor, partition: str = ""):
        self._monitor, self._partition = monitor, partition
        self._expected: dict[tuple[Resources, float], _Expected] = {}

    async def availability(self, resources: Resources, hours: float) -> Availability:
        """What could start now, in words what is free; without room also when one of so many hours would."""
        try:
            nodes = await self._monitor.nodes()
        except SlurmSilent:
            return SILENT
        partition = resources.partition or self._partition or default_of(nodes)
        there = [node for node in nodes if partition in node.partitions]
        if not there:
            words = f"The cluster has no part named {partition}." if partition else NOWHERE
            return Availability(0, words, possible=False)
        able = [node for node in there if could_ever(node, resources)]
        if len(able) < resources.nodes:
            return Availability(0, too_large(there, able, resources), possible=False)
        willing = [node for node in able if node.open and partition not in node.closed_partitions]
        if len(willing) < resources.nodes:
            return Availability(0, CLOSED)
        count = how_many(willing, resources)
        waiting = self._monitor.queue.waiting(partition)
        line = f" {waiting} {'job waits' if waiting == 1 else 'jobs wait'} in the queue." if waiting else ""
        if count:
            return Availability(count, f"{what_is_free(willing, resources)}{line}")
        expected = await self.expected(resources, hours)
        return Availability(0, f"{why_none(willing, resources)}{line}", expected)

    async def expected(self, resources: Resources, hours: float) -> datetime | None:
        """When the controller expects such a session to start, asked for now; None: it cannot tell."""
        now, wanted = time.monotonic(), (resources, hours)
        known = self._expected.get(wanted)
        if known is None or (known.start.done() and now >= known.until):
            self._expected = {key: one for key, one in self._expected.items() if now < one.until}
            known = _Expected(now + EXPECTED_FOR, asyncio.create_task(self._ask(*wanted)))
            self._expected[wanted] = known
        start = await asyncio.shield(known.start)
        return start if start and start > datetime.now(UTC) else None

    async def _ask(self, resources: Resources, hours: float) -> datetime | None:
        try:
            return await self._monitor.client.expected_start(
                partition=resources.partition or self._partition,
                cpus=max(1, math.ceil(resources.cpus)),
                memory=resources.memory,
                gpus=resources.gpus,
                gpu_type=resources.gpu_type,
                nodes=resources.nodes,
                minutes=max(1, math.ceil(hours * 60)),
            )
        except SlurmSilent:
            return None

    async def states(self, sessions: Mapping[str, Iterable[str]]) -> list[NodeState]:
        """The machines; `sessions` are the keys `OWNER/NAME` by node. Raises SlurmSilent."""
        nodes = sorted(await self._monitor.nodes(), key=lambda node: node.name)
        return [state_of(node, sessions.get(node.name, ())) for node in nodes]


def default_of(nodes: Iterable[Node]) -> str:
    """The cluster's default partition, "" where it has none."""
    return next((node.default_partition for node in nodes if node.default_partition), "")


def could_ever(node: Node, resources: Resources) -> bool:
    """Whether one node of the session fits on this one when nothing else runs there."""
    return (
        node.cpus >= resources.cpus
        and node.memory >= resources.memory
        and _gpus(node.gpus, resources) >= resources.gpus
    )


def too_large(there: Iterable[Node], able: Collection[Node], resources: Resources) -> str:
    """Why such a session can never start there; `able` are the machines on which one node of it fits."""
    if able:
        are = "machine is" if len(able) == 1 else "machines are"
        return f"{TOO_LARGE}: it takes {resources.nodes}, and only {len(able)} {are} that large."
    there = list(there)
    cpus, memory = max(node.cpus for node in there), max(node.memory for node in there)
    gpus = max(_gpus(node.gpus, resources) for node in there)
    if resources.cpus > cpus:
        return f"{TOO_LARGE}: the largest has {cpus} cores."
    if resources.memory > memory:
        return f"{TOO_LARGE}: the largest has {size(memory)} of memory."
    if resources.gpus > gpus:
        kind = gpu_name(resources.gpu_type)
        return f"{TOO_LARGE}: none has {f'more than {gpus} ' if gpus else ''}{kind}."
    return f"{TOO_LARGE} in one."


def how_many(nodes: Iterable[Node], resources: Resources) -> int:
    """How many such sessions fit into what is free on these nodes."""
    return sum(_fitting(node, resources) for node in nodes) // max(1, resources.nodes)


def _fitting(node: Node, resources: Resources) -> int:
    cpus = max(1, math.ceil(resources.cpus))
    limits = [node.free_cpus // cpus, node.free_memory // max(1, resources.memory)]
    if resources.gpus:
        limits.append(_gpus(node.free_gpus, resources) // resources.gpus)
    # A session that spans nodes takes each of them once.
    return min(max(0, min(limits)), 1 if resources.nodes > 1 else 1 << 30)


def _gpus(gpus: Mapping[str, int], resources: Resources) -> int:
    return sum(count for kind, count in gpus.items() if not resources.gpu_type or kind == resources.gpu_type)


def what_is_free(nodes: Iterable[Node], resources: Resources) -> str:
    """Free cores, and GPUs by type, on the nodes where such a session could run."""
    nodes = list(nodes)
    parts = [f"{sum(node.free_cpus for node in nodes)} of {sum(node.cpus for node in nodes)} cores"]
    kinds = sorted({kind for node in nodes for kind in node.gpus})
    if resources.gpu_type:
        kinds = [resources.gpu_type]
    for kind in kinds if resources.gpus else ():
        free = sum(node.free_gpus.get(kind, 0) for node in nodes)
        parts.append(f"{free} of {sum(node.gpus.get(kind, 0) for node in nodes)} {gpu_name(kind)}")
    return f"Free now: {', '.join(parts)}."


def gpu_name(kind: str) -> str:
    """`a100` GPUs, or GPUs of which Slurm names no type."""
    return f"{kind} GPUs" if kind else "GPUs"


def why_none(nodes: Iterable[Node], resources: Resources) -> str:
    """What is missing for such a session on these nodes."""
    nodes = list(nodes)
    kind = gpu_name(resources.gpu_type)
    if resources.gpus and all(_gpus(node.free_gpus, resources) < resources.gpus for node in nodes):
        total = sum(_gpus(node.gpus, resources) for node in nodes)
        free = sum(_gpus(node.free_gpus, resources) for node in nodes)
        if free:
            are = "is" if free == 1 else "are"
            return f"Only {free} of {total} {kind} {are} free, or none where the plan needs them together."
        return f"All {total} {kind} are in use." if total > 1 else f"The only one of the {kind} is in use."
    if all(node.free_memory < resources.memory for node in nodes):
        return "The memory of the machines for this plan is in use."
    if all(node.free_cpus < resources.cpus for node in nodes):
        return "The cores of the machines for this plan are in use."
    return "The machines for this plan are in use."


def state_of(node: Node, sessions: Iterable[str]) -> NodeState:
    """A node as the page of machines has it."""
    silent = bool(node.states & {"DOWN", "NOT_RESPONDING", "UNKNOWN"})
    return NodeState(
        name=node.name,
        answers=not silent,
        since=None,
        drained=False,
        cpus=node.cpus,
        memory=node.memory,
        gpus=sum(node.gpus.values()),
        free_cpus=node.free_cpus,
        free_memory=node.free_memory,
        free_gpus=sum(node.free_gpus.values()),
        sessions=tuple(sorted(sessions)),
        scheduled=True,
        closed=not node.open,
        words=_node_words(node),
    )


def _node_words(node: Node) -> str:
    says = next((words for states, words in _STATES if states & node.states), "")
    if not says:
        return ""
    reason = shown(node.reason)
    return f"{says}: {reason}" if reason else f"{says}."


_STATES = (
    (frozenset(["DOWN", "NOT_RESPONDING", "UNKNOWN", "INVALID_REG", "ERROR"]), "Slurm does not reach it"),
    (frozenset(["DRAIN", "DRAINED", "DRAINING", "FAIL", "FAILING"]), "Slurm starts nothing new there"),
    (frozenset(["MAINT", "MAINTENANCE", "RESERVED"]), "Reserved"),
    (frozenset(["REBOOT_ISSUED", "REBOOT_REQUESTED", "POWERING_DOWN"]), "Being restarted or switched off"),
    (frozenset(["FUTURE", "BLOCKED"]), "Not in service"),
    (frozenset(["POWERED_DOWN", "POWER_DOWN"]), "Switched off until a job needs it"),
)
