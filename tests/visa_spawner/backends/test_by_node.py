"""What is done for one node, or for one session, does not cost more where there are many."""

from collections import Counter

import pytest
from traitlets.config import Config

from visa_spawner.backends.by_node import ByNode
from visa_spawner.backends.fleet import Fleet
from visa_spawner.backends.nodes import Node
from visa_spawner.backends.on_nodes import OnNodes
from visa_spawner.backends.placement import Placement, Taken
from visa_spawner.session import Resources

GB = 1 << 30
NODES = [{"name": name, "engine": f"unix:///run/{name}.sock", "cpus": 900, "memory": "900G"} for name in "ab"]


def test_it_is_a_mapping_and_knows_what_stands_where():
    changed = []
    mapping = ByNode(lambda value: value[0], changed.append)
    mapping["one"], mapping["two"] = ("a", 1), ("b", 2)
    assert dict(mapping.on("a")) == {"one": ("a", 1)} and dict(mapping.on("c")) == {}
    mapping["one"] = ("b", 3)
    assert dict(mapping.on("a")) == {} and mapping == {"one": ("b", 3), "two": ("b", 2)}
    del mapping["two"]
    assert dict(mapping.on("b")) == {"one": ("b", 3)} and len(mapping) == 1
    assert changed == ["a", "b", "a", "b", "b"]
    with pytest.raises(KeyError):
        del mapping["two"]


class Read:
    """What a container takes, that notes when somebody asks."""

    times = Counter()

    def __init__(self, node):
        self.node = node

    def __getattr__(self, name):
        self.times[self.node] += 1
        return {"cpus": 0.1, "memory": GB, "gpus": ()}[name]


def test_the_books_of_a_node_are_added_up_only_when_they_have_changed():
    books = Placement(tuple(Node(**node) for node in NODES), answering={"a", "b"})
    for number in range(300):
        books.taken[f"b{number}"] = Read("b")
    assert books.availability(Resources(1, GB)).sessions == 900 + 600
    Read.times.clear()
    for number in range(10):
        assert books.reserve(f"a{number}", Resources(1, GB)).node == "a"
        assert books.availability(Resources(1, GB)).sessions == 900 + 600 - number - 1
        books.follow("a", {f"a{number}": Taken("a", 1, GB)}, [f"a{n}" for n in range(number)])
    assert Read.times == {}
    books.release("b0")
    assert books.availability(Resources(1, GB)).sessions == 900 + 601 - 10
    assert Read.times["b"] == 3 * 299


def test_a_session_finds_its_nodes_without_comparing_all_settings(monkeypatch):
    asked, of = [], Fleet.of

    def counted(config):
        asked.append(config)
        return of(config)

    monkeypatch.setattr(Fleet, "of", counted)

    class One(OnNodes):
        config = Config({"ContainerBackend": {"hub_id": "here", "nodes": NODES}})

    one = One()
    assert len({id(one.fleet) for _ in range(100)}) == 1
    assert len(asked) == 1


async def test_after_its_nodes_were_closed_a_session_finds_them_anew():
    class One(OnNodes):
        config = Config({"ContainerBackend": {"hub_id": "there", "nodes": NODES}})

    one = One()
    first = one.fleet
    await first.close()
    assert one.fleet is not first and not one.fleet.closed
    await one.fleet.close()
