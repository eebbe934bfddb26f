"""How many should wait, what they are made from, and the books: no engine."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from visa_session.contract import PASSPORT
from visa_session.handover import read
from visa_spawner.backends.nodes import Node
from visa_spawner.backends.placement import NoRoom, Placement, Taken
from visa_spawner.backends.spec import Limits, container_name, could_be
from visa_spawner.backends.warm import handover
from visa_spawner.backends.warm.demand import Starts, to_keep
from visa_spawner.backends.warm.spec import is_warm_name, waiting_spec, waits, warm_name
from visa_spawner.session import Bind, Person, Resources, StartRefused, WarmPair

MB = 1 << 20
NOW = datetime(2026, 11, 30, 9, 10, tzinfo=UTC)
PAIR = WarmPair("general", "small", "general", Resources(2, 4096 * MB))
NODE = Node(name="n", engine="unix:///run/x.sock", cpus=8, memory=1024 * MB)
LIMITS = Limits(MB, 0.25, 100, {"nofile": (10, 20)})


def minutes(*numbers):
    return [timedelta(minutes=number) for number in numbers]


@pytest.mark.parametrize(
    ("ago", "busiest"),
    [
        ([], 0),
        (minutes(0), 1),
        (minutes(5, 10, 15), 1),
        (minutes(5, 5.5, 5.9, 20), 3),
        (minutes(59, 59.5), 2),
        (minutes(61, 61.5), 0),
        # A course that began together, yesterday and a week ago, at about this time.
        ([timedelta(days=1, minutes=10)] * 12, 12),
        ([timedelta(days=1, minutes=-20)] * 12, 12),
        ([timedelta(days=7)] * 5, 5),
        ([timedelta(days=1, hours=3)] * 12, 0),
        ([timedelta(days=8)] * 12, 0),
        # Somebody's clock: what lies ahead counts for nothing.
        (minutes(-5, -5), 0),
    ],
)
def test_as_many_are_expected_as_came_in_the_busiest_minute(ago, busiest):
    starts = Starts((PAIR.key, NOW - one) for one in ago)
    starts.note(("other", "small"), NOW)
    assert starts.busiest(PAIR.key, NOW) == busiest


@pytest.mark.parametrize(
    ("busiest", "memory", "most", "kept"),
    [
        ({"a": 0, "b": 0}, 1000, 9, {"a": 1, "b": 1}),
        ({"a": 0, "b": 5}, 150, 9, {"a": 0, "b": 1}),
        ({"a": 0, "b": 5}, 1000, 3, {"a": 1, "b": 3}),
        ({"a": 8, "b": 4}, 600, 9, {"a": 4, "b": 2}),
        ({"a": 8, "b": 4}, 5000, 9, {"a": 8, "b": 4}),
        ({"a": 8, "big": 4}, 600, 9, {"a": 6, "big": 0}),
        ({"a": 8}, 0, 9, {"a": 0}),
        ({}, 1000, 9, {}),
    ],
)
def test_the_memory_is_shared_by_how_often_a_pair_is_started(busiest, memory, most, kept):
    sizes = {pair: 700 if pair == "big" else 100 for pair in busiest}
    assert to_keep(busiest, sizes, memory, most) == kept


def body(pair=PAIR, **changes):
    fields = {"node": NODE, "image": "sha256:1", "hub_id": "h", "limits": LIMITS}
    return waiting_spec(pair, **(fields | changes))


def test_a_waiting_container_is_nobodys_and_can_do_no_more_than_become_somebody():
    made = body()
    host = made["HostConfig"]
    assert made["User"] == "0:0" and host["GroupAdd"] == [] and host["Mounts"] == []
    assert (host["CapAdd"], host["CapDrop"]) == (["SETUID", "SETGID", "SETPCAP"], ["ALL"])
    assert host["SecurityOpt"] == ["no-new-privileges"] and not host["Privileged"]
    assert (host["Memory"], host["CpuQuota"], host["PidsLimit"]) == (4096 * MB, 200000, 100)
    assert made["Cmd"] == ["visa-session", "--wait"]
    assert {one.partition("=")[0] for one in made["Env"]} == {
        "LANG",
        "NVIDIA_VISIBLE_DEVICES",
        "CUDA_VISIBLE_DEVICES",
    }
    assert "visa.session" not in made["Labels"]


@pytest.mark.parametrize(
    "changes",
    [
        {"image": "sha256:2"},
        {"limits": Limits(2 * MB, 0.25, 100, {"nofile": (10, 20)})},
        {"limits": Limits(MB, 0.25, 100, {})},
        {"node": NODE.model_copy(update={"network": "other"})},
        {"pair": WarmPair("general", "small", "general", Resources(2, 4095 * MB))},
        {"pair": WarmPair("general", "medium", "general", Resources(2, 4096 * MB))},
        {"pair": WarmPair("general", "small", "general", PAIR.resources, (Bind("/a", "/a", True),))},
    ],
)
def test_what_it_was_made_from_shows_in_its_mark(changes):
    assert body()["Labels"]["visa.warm"] == body()["Labels"]["visa.warm"]
    assert body(**changes)["Labels"]["visa.warm"] != body()["Labels"]["visa.warm"]


def test_another_version_of_ours_has_another_mark(monkeypatch):
    from visa_spawner.backends.warm import fingerprint

    before = body()["Labels"]["visa.warm"]
    monkeypatch.setattr(fingerprint, "_version", lambda: "another")
    assert body()["Labels"]["visa.warm"] != before


def test_no_sessions_name_is_a_waiting_ones():
    assert is_warm_name(warm_name("h", "0123abcd"), "h")
    for owner in ("warm", "warm-", "h", "", "0123abcd"):
        for server in ("", "warm", "0123abcd", "x"):
            name = container_name("h", f"{owner}/{server}", "0123abcd")
            assert not is_warm_name(name, "h")
            assert could_be(name, "h", [f"{owner}/{server}"])
    labels = {"visa.warm": "x", "visa.hub": "h"}
    assert waits("visa-h-warm-0123abcd", labels)
    assert not waits("visa-h-alice-first-0123abcd", labels)
    assert not waits("visa-h-warm-0123abcd", {"visa.hub": "h"})
    assert not waits("visa-h-warm-0123abcd", labels | {"visa.hub": "other"})
    assert not could_be("visa-h-alice-first-0123abcd", "h", ["alice/second", "bob/first"])


def test_what_waits_is_free_to_a_session_and_to_nothing_else():
    books = Placement((NODE,), answering={"n"})
    books.wait("w", Taken("n", 0, 600 * MB))
    assert books.free(NODE)[1] == 1024 * MB and books.spare("n") == 424 * MB
    assert books.availability(Resources(1, 1024 * MB)).sessions == 1
    books.reserve("s", Resources(1, 800 * MB))
    assert books.spare("n") == -376 * MB
    # What is being removed is nobody's to take before it is gone.
    books.wait_no_more("w")
    with pytest.raises(NoRoom):
        books.reserve("t", Resources(1, 100 * MB))
    books.follow("n", {"s": Taken("n", 1, 800 * MB)}, claimed=())
    assert set(books.taken) == {"s"} and books.waiting == {}
    books.reserve("t", Resources(1, 100 * MB))


def test_the_list_of_an_engine_does_not_count_what_waits_as_taken():
    books = Placement((NODE,), answering={"n"})
    books.wait("w", Taken("n", 0, 100 * MB))
    books.follow("n", {"w": Taken("n", 0, 192 * MB)}, claimed=())
    assert books.taken == {} and books.spare("n") == 924 * MB


@pytest.mark.parametrize("ids", [(0, 5, ()), (5, 0, ()), (5, 5, (6, 0))])
def test_nobody_of_the_systems_own_is_handed_anything(ids):
    with pytest.raises(StartRefused):
        handover.document(Person("x", *ids, "/home/x"), {}, b"", "x")


def test_the_document_is_what_the_container_reads():

    given = handover.document(Person("x", 5, 6, (7, 8), "/home/x"), {"A": "b"}, b"tar", "first")
    taken = read(json.dumps(given).encode())
    assert (taken.uid, taken.gid, taken.gids, taken.hostname) == (5, 6, (7, 8), "first")
    assert (taken.environment, taken.files) == ({"A": "b"}, b"tar")
    assert PASSPORT not in given["environment"]
