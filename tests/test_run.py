"""The second chance: what fails twice fails, what fails once is named."""

import pytest

from tests import run

ONCE = """
from pathlib import Path
def test_stalls():
    seen = Path(__file__).with_name("seen")
    first = not seen.exists()
    seen.touch()
    assert not first
def test_holds():
    assert 1 + 1 == 2
"""
BESIDE = """
import time
from pathlib import Path
def test_beside():
    Path({mine!r}).touch()
    deadline = time.monotonic() + 20
    while not Path({other!r}).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between two looks, up to the deadline
"""
ALONE = """
from pathlib import Path
def test_alone():
    assert not list(Path({folder!r}).glob("*.began"))
    Path({folder!r}, "alone").touch()
"""
AFTER = """
from pathlib import Path
def test_after():
    assert len(list(Path({folder!r}).glob("*.began"))) == 2
"""
ALWAYS = "def test_broken():\n    assert False\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def lanes(folder, monkeypatch):
    """Two folders whose tests run side by side: each waits for the other to have begun."""
    monkeypatch.setattr(run, "LANES", ({"left": ["left"], "right": ["right", "-right/apart"]},))
    for mine, other in (("left", "right"), ("right", "left")):
        (folder / mine).mkdir()
        (folder / mine / f"test_{mine}.py").write_text(
            BESIDE.format(mine=str(folder / f"{mine}.began"), other=str(folder / f"{other}.began"))
        )
    (folder / "test_alone.py").write_text(ALONE.format(folder=str(folder)))
    return folder


def test_what_fails_once_passes_and_is_named(folder, capsys):
    (folder / "test_once.py").write_text(ONCE)
    assert run.main([]) == 0
    said = capsys.readouterr().out
    assert "want to be looked at" in said and "test_once.py::test_stalls" in said
    assert "test_holds" not in said


def test_what_fails_twice_fails(folder, capsys):
    (folder / "test_once.py").write_text(ONCE)
    (folder / "test_always.py").write_text(ALWAYS)
    assert run.main([]) == 1
    said = capsys.readouterr().out.partition("that failed at first")[2]
    assert "failed again" in said and "test_always.py::test_broken" in said and "test_stalls" not in said


def test_many_failures_are_no_stall(folder, capsys):
    (folder / "test_many.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(9))\ndef test_it(n):\n    assert False\n"
    )
    assert run.main([]) == 1
    assert "once more" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_no_stall(folder):
    (folder / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert run.main([]) == 2


def test_lanes_run_side_by_side_and_what_no_lane_names_before_them(lanes, capfd):
    assert run.main([]) == 0
    said = capfd.readouterr().out
    assert (lanes / "alone").exists() and said.count("1 passed") == 3


def test_what_a_lane_leaves_out_runs_in_another_after_it(lanes, capfd, monkeypatch):
    (lanes / "right/apart").mkdir()
    (lanes / "right/apart/test_after.py").write_text(AFTER.format(folder=str(lanes)))
    monkeypatch.setattr(run, "LANES", (*run.LANES, {"after": ["right/apart"]}))
    assert run.main([]) == 0
    assert capfd.readouterr().out.count("1 passed") == 4


def test_a_failure_in_any_lane_is_run_again_and_counts(lanes, capfd):
    (lanes / "left" / "test_once.py").write_text(ONCE)
    (lanes / "right" / "test_always.py").write_text(ALWAYS)
    assert run.main([]) == 1
    said = capfd.readouterr().out.partition("run once more")[2]
    first, _, last = said.partition("that failed at first")
    assert "left/test_once.py::test_stalls" in first and "right/test_always.py::test_broken" in first
    assert "failed again" in last and "test_broken" in last and "test_stalls" not in last


def test_a_lane_that_cannot_be_read_fails_all(lanes):
    (lanes / "left" / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert run.main([]) == 2
