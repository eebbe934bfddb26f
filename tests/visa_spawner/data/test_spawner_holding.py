"""What one more experiment, or one less, changes of a session's directories; what is kept of them."""

from datetime import UTC, datetime

import pytest

from visa_session.contract import DatasetInfo, ExperimentInfo
from visa_spawner.data.holding import links_to, to_add, to_remove
from visa_spawner.kept.state import Kept
from visa_spawner.session import StartRefused

HOME = "/home/alice"
ONE = ExperimentInfo("A-1", raw="/data/a/raw", processed="/data/a/results")


def added(new, *held):
    return [(one.path, one.read_only) for one in to_add(new, held, HOME)]


def test_what_is_there_is_not_mounted_twice_and_read_only_wins():
    assert added(ONE) == [("/data/a/raw", True), ("/data/a/results", False)]
    same = ExperimentInfo("B-2", raw="/data/b/raw", processed="/data/a/results")
    assert added(same, ONE) == [("/data/b/raw", True)]
    # Where another's raw data are, nobody writes.
    assert added(ExperimentInfo("B-2", raw="/data/b/raw", processed="/data/a/raw"), ONE) == [
        ("/data/b/raw", True)
    ]
    assert added(ExperimentInfo("B-2", raw="/data/b", processed="/data/b")) == [("/data/b", True)]


@pytest.mark.parametrize("raw", ["/data/a/results", "/data/a", "/data", HOME, "/home"])
def test_a_mount_that_would_open_or_hide_is_refused(raw):
    with pytest.raises(StartRefused) as refused:
        added(ExperimentInfo("B-2", raw=raw), ONE)
    assert (refused.value.field, refused.value.status) == ("experiment", 409)


def test_what_others_need_stays():
    other = ExperimentInfo("B-2", raw="/data/b/raw", processed="/data/a/results")
    assert to_remove(ONE, [other], HOME) == ["/data/a/raw"]
    assert to_remove(ONE, [], HOME) == ["/data/a/results", "/data/a/raw"]
    with pytest.raises(StartRefused, match="take that one away first"):
        to_remove(ExperimentInfo("C-3", raw="/data/a"), [ONE], HOME)


def test_what_the_operator_binds_is_neither_hidden_nor_detached():
    others = ("/data/b/raw/lib", "/run/munge")
    new = ExperimentInfo("B-2", raw="/data/b/raw")
    with pytest.raises(StartRefused, match="holds one that this session has already"):
        to_add(new, [ONE], HOME, others)
    with pytest.raises(StartRefused, match="holds one of the facility's"):
        to_remove(new, [ONE], HOME, others)
    # The very place stays as it is.
    same = ExperimentInfo("C-3", raw="/data/c", processed="/run/munge")
    assert [one.path for one in to_add(same, [ONE], HOME, others)] == ["/data/c"]
    assert to_remove(same, [ONE], HOME, others) == ["/data/c"]


def test_ways_to_datasets_are_those_of_a_start():
    datasets = (DatasetInfo("1", "scan", "s1"), DatasetInfo("2", "scan", "/elsewhere/s2"))
    links = links_to(ExperimentInfo("A-1", raw="/data/a/raw", datasets=datasets))
    assert links == {
        "/experiments/A-1/raw": "/data/a/raw",
        "/experiments/A-1/datasets/scan": "/data/a/raw/s1",
        "/experiments/A-1/datasets/scan (2)": "/elsewhere/s2",
    }


def test_what_is_kept_comes_back_and_an_earlier_versions_is_told_apart():
    kept = Kept(options={"experiments": ["A-1"]}, data=(ONE,), home=HOME)
    assert kept.knows_data
    again = Kept.read({"visa": kept.but(adding=ExperimentInfo("B-2")).model_dump(mode="json")})
    assert (again.data, again.home, again.experiments) == ((ONE,), HOME, ("A-1", "B-2"))
    assert not Kept(options={"experiments": ["A-1"]}).knows_data
    took = again.but(taken={"C-3": datetime.now(UTC)}, others=("/run/munge",), adding=None)
    took = Kept.read({"visa": took.model_dump(mode="json")})
    assert (took.experiments, took.within_reach) == (("A-1",), ("A-1", "C-3"))
    assert (took.renewed(1).taken, took.renewed(1).others) == ({}, ("/run/munge",))
    assert took.begun(1, queue=False).taken == took.ended(None).taken == {}
    ended = again.ended(None)
    assert (ended.data, ended.adding, ended.experiments) == ((), None, ("A-1",))
