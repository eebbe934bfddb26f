"""A mapping that knows at once what stands on one node: what costs is that node's own, not all nodes'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import TypeVar

V = TypeVar("V")


class ByNode(MutableMapping[str, V]):
    """Values by a container's name; `node_of` says on which node a value stands.

    `changed` is called with a node's name after each change of what stands there.
    """

    def __init__(self, node_of: Callable[[V], str], changed: Callable[[str], None] = lambda node: None):
        self._node_of, self._changed = node_of, changed
        self._all: dict[str, V] = {}
        self._on: dict[str, dict[str, V]] = {}

    def on(self, node: str) -> Mapping[str, V]:
        """What stands on one node; follows later changes."""
        return MappingProxyType(self._on.setdefault(node, {}))

    def __getitem__(self, name: str) -> V:
        return self._all[name]

    def __setitem__(self, name: str, value: V) -> None:
        self.pop(name, None)
        node = self._node_of(value)
        self._all[name] = self._on.setdefault(node, {})[name] = value
        self._changed(node)

    def __delitem__(self, name: str) -> None:
        node = self._node_of(self._all.pop(name))
        del self._on[node][name]
        self._changed(node)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
