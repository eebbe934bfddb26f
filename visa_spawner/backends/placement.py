"""Which node has room, and which of its GPUs a session gets: bookkeeping alone, no engine, no await.

Looking and taking are one synchronous step, so two people asking for the last GPU at once cannot both
get it. The books follow what the engines list, so that a hub that restarts finds them right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..session import Availability, Resources
from .by_node import ByNode
from .nodes import Node


@dataclass(frozen=True)
class Taken:
    """What one container takes of a node: cores, bytes of memory and GPU ids."""

    node: str
    cpus: float
    memory: int
    gpus: tuple[str, ...] = ()


class NoRoom(Exception):
    """No node can take a session now; `words` say why.

    `never`: none ever could. `closed`: those that could take no new ones.
    """

    def __init__(self, words: str, never: bool = False, closed: bool = False):
        super().__init__(words)
        self.words, self.never, self.closed = words, never, closed


@dataclass
class Placement:
    """The books: nodes, which of them answer, and what each container takes, by the container's name.

    `waiting` are containers that are nobody's yet: to a session their room is free, since they go for it.
    `closed` gives None for a node that takes new sessions, else words on why not: an administrator's word,
    beside `drained` of the settings.
    """

    nodes: tuple[Node, ...]
    answering: set[str] = field(default_factory=set)
    waiting: dict[str, Taken] = field(default_factory=dict)
    closed: Callable[[str], str | None] = lambda node: None
    taken: ByNode[Taken] = field(init=False)
    #: What is taken of a node altogether, until that changes: cores, bytes of memory, GPUs.
    _sums: dict[str, tuple[float, int, frozenset[str]]] = field(default_factory=dict)

    def __post_init__(self):
        self.taken = ByNode(lambda taken: taken.node, lambda node: self._sums.pop(node, None))

    def reserve(self, container: str, resources: Resources, among: set[str] | None = None) -> Taken:
        """Take room for a container on one of these nodes, None for any; raises NoRoom.

        Of the nodes with room the one with the fewest GPUs left over is taken, so that whole nodes of
        GPUs stay together and sessions without a GPU stay off them; then the one with the most memory.
        """
        choices = []
        for node in self._open():
            gpus = self._gpus_for(node, resources)
            cpus, memory = self._free(node)
            if gpus is None or cpus < resources.cpus or memory < resources.memory:
                continue
            if among is not None and node.name not in among:
                continue
            left = len(self._free_gpus(node)) - len(gpus)
            choices.append((left, -(memory - resources.memory), node.name, gpus))
        if not choices:
            raise self._why_none(resources)
        _, _, name, gpus = min(choices)
        taken = Taken(name, resources.cpus, resources.memory, gpus)
        self.taken[container] = taken
        return taken

    def release(self, container: str) -> None:
        """Give back what a container took; harmless when it took nothing."""
        self.taken.pop(container, None)
        self.waiting.pop(container, None)

    def wait(self, container: str, taken: Taken) -> None:
        """Note what a container takes that waits, in place of what is known of it."""
        self.taken.pop(container, None)
        self.waiting[container] = taken

    def wait_no_more(self, container: str) -> None:
        """It is being removed: what it takes is nobody's to take until it is gone."""
        if taken := self.waiting.pop(container, None):
            self.taken[container] = taken

    def spare(self, name: str) -> int:
        """Bytes of a node that neither sessions nor waiting containers take; less than 0: too many wait."""
        node = next(node for node in self.nodes if node.name == name)
        return self._free(node)[1] - self.memory_waiting(name)

    def memory_waiting(self, name: str) -> int:
        """Bytes that waiting containers take of a node."""
        return sum(taken.memory for taken in self.waiting.values() if taken.node == name)

    def takes_new(self, node: Node) -> bool:
        """Whether new containers may go to a node now."""
        return node.name in self.answering and self._takes_new(node)

    def follow(self, node: str, listed: dict[str, Taken], claimed: Iterable[str]) -> None:
        """Bring the books to what a node's engine lists.

        What it lists counts; what it does not list is given back, but for the `claimed`, which are being
        made or removed right now.
        """
        self.answering.add(node)
        keep = set(claimed)
        for container, taken in listed.items():
            if container not in self.waiting:
                self.taken.setdefault(container, taken)
        for container in list(self.taken.on(node)):
            if container not in listed and container not in keep:
                del self.taken[container]

    def silent(self, node: str) -> None:
        """A node's engine does not answer: what runs there keeps its room, nothing new goes there."""
        self.answering.discard(node)

    def availability(self, resources: Resources) -> Availability:
        """How many such sessions could start now, and in words why none."""
        count = sum(self._fitting(node, resources) for node in self._open())
        if count:
            return Availability(count, f"Room for {count} now.")
        return Availability(0, self._why_none(resources).words)

    def free(self, node: Node) -> tuple[float, int, int]:
        """Cores, bytes of memory and GPUs of a node that nothing takes."""
        return *self._free(node), len(self._free_gpus(node))

    def _open(self) -> list[Node]:
        return [node for node in self.nodes if self.takes_new(node)]

    def _takes_new(self, node: Node) -> bool:
        return not node.drained and self.closed(node.name) is None

    def _free(self, node: Node) -> tuple[float, int]:
        cpus, memory, _ = self._sum(node)
        # Rounded: sums of fractional cores must not leave a node with 0.9999 of one.
        return round(node.cpus - cpus, 6), node.memory - memory

    def _sum(self, node: Node) -> tuple[float, int, frozenset[str]]:
        found = self._sums.get(node.name)
        if found is None:
            mine = self.taken.on(node.name).values()
            gpus = frozenset(gpu for taken in mine for gpu in taken.gpus)
            found = sum(taken.cpus for taken in mine), sum(taken.memory for taken in mine), gpus
            self._sums[node.name] = found
        return found

    def _free_gpus(self, node: Node, gpu_type: str = "") -> list[str]:
        used = self._sum(node)[2]
        return [
            key
            for key, gpu in node.gpus.items()
            if key not in used and (not gpu_type or gpu.type == gpu_type)
        ]

    def _gpus_for(self, node: Node, resources: Resources) -> tuple[str, ...] | None:
        free = self._free_gpus(node, resources.gpu_type)
        if len(free) < resources.gpus:
            return None
        # Of one type where that is possible, from the type with the fewest left that suffices.
        counts = Counter(node.gpus[key].type for key in free)
        order = sorted(
            free,
            key=lambda key: (
                counts[node.gpus[key].type] < resources.gpus,
                counts[node.gpus[key].type],
                node.gpus[key].type,
            ),
        )
        return tuple(order[: resources.gpus])

    def _fitting(self, node: Node, resources: Resources) -> int:
        cpus, memory = self._free(node)
        # Rounded, since 0.3 // 0.1 is 2.
        limits = [int(round(cpus / resources.cpus, 6)), memory // resources.memory]
        if resources.gpus:
            limits.append(len(self._free_gpus(node, resources.gpu_type)) // resources.gpus)
        return max(0, min(limits))

    def _could(self, node: Node, resources: Resources) -> bool:
        gpus = [gpu for gpu in node.gpus.values() if not resources.gpu_type or gpu.type == resources.gpu_type]
        return node.cpus >= resources.cpus and node.memory >= resources.memory and len(gpus) >= resources.gpus

    def _why_none(self, resources: Resources) -> NoRoom:
        able = [node for node in self.nodes if self._could(node, resources)]
        if not able:
            return NoRoom("No node of this facility is large enough for this plan.", never=True)
        willing = [node for node in able if self._takes_new(node)]
        if not willing:
            why = " ".join(dict.fromkeys(filter(None, (self.closed(node.name) for node in able))))
            words = f"The nodes for this plan are being emptied for maintenance. {why}".rstrip()
            return NoRoom(words, closed=True)
        there = [node for node in willing if node.name in self.answering]
        if not there:
            return NoRoom("The nodes for this plan do not answer at the moment.")
        if resources.gpus and all(self._gpus_for(node, resources) is None for node in there):
            total = sum(
                1
                for node in there
                for gpu in node.gpus.values()
                if not resources.gpu_type or gpu.type == resources.gpu_type
            )
            free = sum(len(self._free_gpus(node, resources.gpu_type)) for node in there)
            if free:
                return NoRoom(
                    f"Only {free} of {total} GPUs of this kind {'is' if free == 1 else 'are'} free."
                )
            if total == 1:
                return NoRoom("The only GPU of this kind is in use.")
            return NoRoom(f"All {total} GPUs of this kind are in use.")
        if all(self._free(node)[1] < resources.memory for node in there):
            return NoRoom("The memory of the nodes for this plan is in use.")
        if all(self._free(node)[0] < resources.cpus for node in there):
            return NoRoom("The cores of the nodes for this plan are in use.")
        return NoRoom("The nodes for this plan are in use.")
