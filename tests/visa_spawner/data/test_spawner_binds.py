import os
import subprocess
from dataclasses import replace
from datetime import date

import pytest
from spawner_support import ALICE

from visa_catalogue.model import Dataset, Experiment
from visa_spawner.data.binds import Wanted, checked, short_ways, wanted_for
from visa_spawner.session import StartRefused


def check(tree, place, **changes):
    wanted = replace(Wanted(str(tree.root / place), True, "experiment A-1"), **changes)
    with checked(wanted, ALICE, [str(tree.root / "home")]) as descriptor:
        return os.readlink(f"/proc/self/fd/{descriptor}")


def refused(tree, caplog, place, **changes):
    """The log's reason; the person's words must name the experiment and nothing of the host."""
    caplog.clear()
    with pytest.raises(StartRefused) as error:
        check(tree, place, **changes)
    assert str(tree.root) not in error.value.words
    assert "/" not in error.value.words
    assert changes.get("what", "experiment A-1") in error.value.words
    assert error.value.field == changes.get("field", "experiments")
    assert 400 <= error.value.status < 500
    return caplog.text


def test_a_directory_that_only_root_may_move_is_opened(tree):
    assert check(tree, "visitor/a1/RAW_DATA") == str(tree.root / "visitor/a1/RAW_DATA")


def test_modes_of_the_directory_itself_are_the_kernels_business(tree):
    assert check(tree, "visitor/a1/PROCESSED_DATA")


def test_missing(tree, caplog):
    """What is on tape is told apart from what is not safe: the person asks for another thing then."""
    assert "visitor/a1/NOTHING: does not exist" in refused(tree, caplog, "visitor/a1/NOTHING")
    for place, words in (("visitor/a1/NOTHING", "not on disk here"), ("visitor/a1/file", "safely")):
        (tree.root / "visitor/a1/file").touch()
        with pytest.raises(StartRefused, match=words):
            check(tree, place)


def test_a_file(tree, caplog):
    (tree.root / "visitor/a1/file").write_text("")
    assert "is no directory" in refused(tree, caplog, "visitor/a1/file")


@pytest.mark.parametrize("path", ["visitor/link", "visitor/link/RAW_DATA"])
def test_a_symbolic_link_on_the_way_or_at_the_end(tree, caplog, path):
    (tree.root / "visitor/link").symlink_to(tree.root / "visitor/a1")
    assert "visitor/link: is a symbolic link" in refused(tree, caplog, path)


def test_a_magic_link(tree, caplog):
    assert "symbolic link" in refused(tree, caplog, "x", path="/proc/self/root/etc")


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "reason"),
    [
        (0o777, 0, 0, "writable by everyone"),
        (0o1777, 0, 0, "writable by everyone"),
        (0o755, ALICE.uid, 0, "belongs to the account"),
        (0o555, ALICE.uid, 0, "belongs to the account"),
        (0o775, 0, ALICE.gid, "writable by group 20001"),
        (0o775, 0, ALICE.gids[0], "writable by group 30001"),
    ],
)
@pytest.mark.parametrize("which", ["visitor", "visitor/a1"])
def test_a_directory_above_that_the_account_may_write(tree, caplog, which, mode, uid, gid, reason):
    tree(which, mode, uid, gid)
    assert reason in refused(tree, caplog, "visitor/a1/RAW_DATA")


def test_a_directory_above_that_another_group_may_write(tree):
    tree("visitor/a1", 0o775, 0, 31234)
    assert check(tree, "visitor/a1/RAW_DATA")


def test_a_directory_above_with_an_access_list_that_lets_somebody_write(tree, caplog):
    tree("visitor/a1", 0o755)
    subprocess.run(["setfacl", "-m", f"u:{ALICE.uid}:rwx", tree.root / "visitor/a1"], check=True)
    assert "access list" in refused(tree, caplog, "visitor/a1/RAW_DATA")
    subprocess.run(["setfacl", "-m", "m::r-x", tree.root / "visitor/a1"], check=True)
    assert check(tree, "visitor/a1/RAW_DATA")


@pytest.mark.parametrize("path", ["relative", "/", "//x", "/a//b", "/a/../etc", "/a/.", "/a/", "", "/a\0b"])
def test_what_is_no_plain_absolute_path(tree, caplog, path):
    assert "not a plain absolute path" in refused(tree, caplog, "x", path=path)


HOME = {"what": "your home directory", "field": "home", "owner": ALICE.uid}


class TestHome:
    def test_owned_by_the_account_below_a_home_root(self, tree):
        assert check(tree, "home/alice", **HOME)

    def test_of_somebody_else(self, tree, caplog):
        tree("home/bob", 0o700, 20002, 20002)
        assert "belongs to uid 20002" in refused(tree, caplog, "home/bob", **HOME)

    @pytest.mark.parametrize("path", ["visitor/alice", "home", "homes/alice"])
    def test_elsewhere(self, tree, caplog, path):
        tree(path, 0o700, ALICE.uid, ALICE.gid)
        assert "below none of the home roots" in refused(tree, caplog, path, **HOME)


def experiment(id, raw, processed=None):
    day = date(2026, 1, 1)
    return Experiment(
        id=id, title="t", proposal="p", instrument="id19", start=day, end=day, raw=raw, processed=processed
    )


def test_what_a_session_binds_outer_directories_first():
    person = replace(ALICE, home="/data/home/alice")
    one = experiment("A-1", "/data/v/a/RAW", "/data/v/b")
    two = experiment("B-2", "/data/v/b", "/data/v/a/RAW/below")
    binds = [(w.path, w.read_only, w.what) for w in wanted_for(person, [one, two])]
    assert binds == [
        ("/data/home/alice", False, "your home directory"),
        ("/data/v/a/RAW", True, "experiment A-1"),
        ("/data/v/a/RAW/below", False, "experiment B-2"),
        ("/data/v/b", True, "experiment B-2"),
    ]
    assert short_ways([one, experiment("C-3", "/data/c")]) == {
        "/experiments/A-1/raw": "/data/v/a/RAW",
        "/experiments/A-1/processed": "/data/v/b",
        "/experiments/C-3/raw": "/data/c",
    }


def dataset(name, id="d", experiment="A-1"):
    return Dataset(id=id, experiment=experiment, name=name, path=f"/data/a/raw/{id}")


def names(*datasets):
    ways = short_ways([], datasets)
    assert all(way.startswith("/experiments/A-1/datasets/") for way in ways)
    return {way.removeprefix("/experiments/A-1/datasets/"): to for way, to in ways.items()}


@pytest.mark.parametrize(
    ("name", "link"),
    [
        ("scan_0001", "scan_0001"),
        ("tooth 2, 40 keV", "tooth 2, 40 keV"),
        ("a/b/../c", "a_b_.._c"),
        ("..", "dataset"),
        (". ..", "dataset"),
        ("- .x", "x"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("é" * 150, "é" * 100),
        ("/", "_"),
    ],
)
def test_the_short_way_to_a_dataset_is_a_files_name(name, link):
    assert names(dataset(name)) == {link: "/data/a/raw/d"}


def test_datasets_of_one_name_are_told_apart():
    made = names(dataset("scan", "one"), dataset("scan", "two"), dataset("scan (2)", "three"))
    assert made == {
        "scan": "/data/a/raw/one",
        "scan (2)": "/data/a/raw/two",
        "scan (2) (2)": "/data/a/raw/three",
    }


def test_datasets_of_two_experiments_stand_apart():
    ways = short_ways([], [dataset("scan"), dataset("scan", experiment="B-2")])
    assert set(ways) == {"/experiments/A-1/datasets/scan", "/experiments/B-2/datasets/scan"}
