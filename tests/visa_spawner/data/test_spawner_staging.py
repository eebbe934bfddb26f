"""On the real kernel, as root: what an engine is given is what was checked."""

import errno
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from spawner_support import ALICE

from visa_spawner.data.binds import Unsafe, Wanted
from visa_spawner.data.staging import Staging
from visa_spawner.session import StartRefused

KEY = "alice/tooth"


@pytest.fixture
def staging(tree):
    staging = Staging(tree.root / "staging", [str(tree.root / "home")])
    yield staging
    Staging(staging.root, []).sweep()


def raw(tree):
    return Wanted(str(tree.root / "visitor/a1/RAW_DATA"), True, "experiment A-1")


def processed(tree):
    return Wanted(str(tree.root / "visitor/a1/PROCESSED_DATA"), False, "experiment A-1")


def mounts(tree):
    with open("/proc/self/mountinfo") as lines:
        return [line.split()[4] for line in lines if str(tree.root) in line]


def refuses_writing(path):
    with pytest.raises(OSError) as error:
        (path / "new").write_text("x")
    return error.value.errno == errno.EROFS


def test_one_place_is_taken_away_without_the_others_of_its_session(tree, staging):
    first, second = staging.stage(KEY, [raw(tree)], ALICE), staging.stage(KEY, [raw(tree)], ALICE)
    staging.unpin(second)
    assert mounts(tree) == [first[0].bind.source]
    assert staging.sweep() == []
    staging.unpin(first)
    assert mounts(tree) == []


def test_raw_is_read_only_for_root_and_processed_is_not(tree, staging):
    (tree.root / "visitor/a1/RAW_DATA/scan.h5").write_text("data")
    one, two = (p.bind for p in staging.stage(KEY, [raw(tree), processed(tree)], ALICE))
    assert (one.target, one.path, one.read_only) == (raw(tree).path, raw(tree).path, True)
    source = Path(one.source)
    assert (source / "scan.h5").read_text() == "data"
    assert refuses_writing(source)
    (Path(two.source) / "result").write_text("mine")
    assert (tree.root / "visitor/a1/PROCESSED_DATA/result").read_text() == "mine"


def test_mounts_below_raw_are_read_only_too_also_those_made_later(tree, staging):
    # A file system of its own that tells its mounts to others, as a machine under systemd has them all.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tree.root / "visitor/a1/RAW_DATA"], check=True)
    subprocess.run(["mount", "--make-shared", tree.root / "visitor/a1/RAW_DATA"], check=True)
    nested, later = tree("visitor/a1/RAW_DATA/nested"), tree("visitor/a1/RAW_DATA/later")
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", nested], check=True)
    try:
        (nested / "inside").write_text("x")
        source = Path(staging.stage(KEY, [raw(tree)], ALICE)[0].bind.source)
        assert (source / "nested/inside").read_text() == "x"
        assert refuses_writing(source / "nested")
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", later], check=True)
        try:
            assert refuses_writing(source / "later")
        finally:
            subprocess.run(["umount", later], check=True)
    finally:
        subprocess.run(["umount", nested], check=True)
        subprocess.run(["umount", tree.root / "visitor/a1/RAW_DATA"], check=True)


@pytest.mark.parametrize("which", [0, 1])
def test_no_set_uid_and_no_devices(tree, staging, which):
    bind = staging.stage(KEY, [raw(tree), processed(tree)], ALICE)[which].bind
    options = subprocess.check_output(["findmnt", "-no", "OPTIONS", bind.source], text=True)
    assert {"nosuid", "nodev"} <= set(options.strip().split(","))


def test_the_place_is_for_root_alone(tree, staging):
    staging.stage(KEY, [raw(tree)], ALICE)
    assert staging.root.stat().st_mode & 0o777 == 0o700
    staging.release(KEY)
    staging.root.chmod(0o755)
    with pytest.raises(Unsafe, match="mode 0700"):
        staging.stage(KEY, [raw(tree)], ALICE)


def test_swapped_between_check_and_start_is_refused_and_changes_nothing(tree, staging):
    (tree.root / "visitor/a1/RAW_DATA/scan.h5").write_text("the real one")
    pinned = staging.stage(KEY, [raw(tree), processed(tree)], ALICE)
    staging.confirm(pinned, ALICE)
    (tree.root / "visitor/a1/RAW_DATA").rename(tree.root / "visitor/a1/old")
    (tree("visitor/a1/RAW_DATA") / "scan.h5").write_text("another")
    assert (Path(pinned[0].bind.source) / "scan.h5").read_text() == "the real one"
    with pytest.raises(StartRefused) as error:
        staging.confirm(pinned, ALICE)
    assert "experiment A-1" in error.value.words
    assert str(tree.root) not in error.value.words


def test_swapped_for_a_link_between_check_and_start(tree, staging):
    pinned = staging.stage(KEY, [raw(tree)], ALICE)
    (tree.root / "visitor/a1/RAW_DATA").rename(tree.root / "visitor/a1/old")
    (tree.root / "visitor/a1/RAW_DATA").symlink_to("/etc")
    with pytest.raises(StartRefused, match="A-1"):
        staging.confirm(pinned, ALICE)


def test_a_refusal_leaves_nothing_behind(tree, staging):
    missing = replace(raw(tree), path=str(tree.root / "visitor/none"))
    with pytest.raises(StartRefused):
        staging.stage(KEY, [raw(tree), missing], ALICE)
    assert mounts(tree) == []
    assert list(staging.root.iterdir()) == []


def test_release_takes_one_session_and_sweep_what_an_earlier_process_left(tree, staging):
    for key in (KEY, "alice/other", "b%+/x"):
        staging.stage(key, [raw(tree), processed(tree)], ALICE)
    assert len(mounts(tree)) == 6
    staging.release(KEY)
    assert len(mounts(tree)) == 4
    assert staging.sweep() == []
    # The hub was killed and started again; a start is under way, for a session of the same name too.
    later = Staging(staging.root, [])
    later.stage("alice/other", [raw(tree)], ALICE)
    assert sorted(later.sweep()) == ["alice/other", "b%+/x"]
    assert len(mounts(tree)) == 1
    later.release("alice/other")
    assert mounts(tree) == []
    assert list(staging.root.iterdir()) == []
    assert (tree.root / "visitor/a1/RAW_DATA").is_dir()


def test_a_start_given_up_while_its_directories_are_staged(tree, staging, monkeypatch):
    pin = staging._pin

    def slow_pin(*arguments):
        pin(*arguments)
        staging.release(KEY)

    monkeypatch.setattr(staging, "_pin", slow_pin)
    with pytest.raises((RuntimeError, FileNotFoundError)):
        staging.stage(KEY, [raw(tree), processed(tree)], ALICE)
    assert mounts(tree) == []
    assert list(staging.root.iterdir()) == []


def test_paths_alone_where_the_engine_is_elsewhere(tree):
    staging = Staging(tree.root / "staging", [], pin=False)
    bind = staging.stage(KEY, [raw(tree)], ALICE)[0].bind
    assert bind.source == bind.path == raw(tree).path
    assert not staging.root.exists()
    staging.release(KEY)
    (tree.root / "visitor/a1").chmod(0o777)
    with pytest.raises(StartRefused):
        staging.stage(KEY, [raw(tree)], ALICE)
