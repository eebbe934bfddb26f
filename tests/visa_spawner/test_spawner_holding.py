"""What one more experiment, or one less, changes of a session's directories; what is kept of them."""

import pytest

from visa_session.contract import DatasetInfo, ExperimentInfo
from visa_spawner.holding import links_to, to_add, to_remove
from visa_spawner.kept import Kept
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
    ended = again.ended(None)
    assert (ended.data, ended.adding, ended.experiments) == ((), None, ("A-1",))
