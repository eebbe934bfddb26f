"""Every test in parts side by side, and the second chance: what fails twice fails, once is named."""

import pytest

from tests import run
from tests.images.recipes import BY_DEFAULT
from tests.run import Part

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
    # These need none of the plugins, whose imports are most of what a pytest costs.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return tmp_path


@pytest.fixture
def parts(folder, monkeypatch):
    """Two folders whose tests run side by side: each waits for the other to have begun."""
    given(monkeypatch, Part("left", ("left",)), Part("right", ("right", "-right/apart")))
    for mine, other in (("left", "right"), ("right", "left")):
        (folder / mine).mkdir()
        (folder / mine / f"test_{mine}.py").write_text(
            BESIDE.format(mine=str(folder / f"{mine}.began"), other=str(folder / f"{other}.began"))
        )
    (folder / "test_alone.py").write_text(ALONE.format(folder=str(folder)))
    return folder


def given(monkeypatch, *parts):
    monkeypatch.setattr(run, "PARTS", parts)


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
        "import pytest\n"
        f"@pytest.mark.parametrize('n', range({run.FEW + 1}))\ndef test_it(n):\n    assert False\n"
    )
    assert run.main([]) == 1
    assert "once more" not in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_no_stall(folder):
    (folder / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert run.main([]) == 2


def test_parts_run_side_by_side_and_what_no_part_names_before_them(parts, capfd):
    assert run.main([]) == 0
    said = capfd.readouterr().out
    assert (parts / "alone").exists() and said.count("1 passed") == 3


def test_what_a_part_leaves_out_runs_in_another_after_it(parts, capfd, monkeypatch):
    (parts / "right/apart").mkdir()
    (parts / "right/apart/test_after.py").write_text(AFTER.format(folder=str(parts)))
    given(monkeypatch, Part("apart", ("right/apart",), after=("left", "right")), *run.PARTS)
    assert run.main([]) == 0
    assert capfd.readouterr().out.count("1 passed") == 4


def test_a_failure_in_any_part_is_run_again_and_counts(parts, capfd):
    (parts / "left" / "test_once.py").write_text(ONCE)
    (parts / "right" / "test_always.py").write_text(ALWAYS)
    assert run.main([]) == 1
    said = capfd.readouterr().out.partition("run once more")[2]
    first, _, last = said.partition("that failed at first")
    assert "left/test_once.py::test_stalls" in first and "right/test_always.py::test_broken" in first
    assert "failed again" in last and "test_broken" in last and "test_stalls" not in last


def test_a_part_that_cannot_be_read_fails_all(parts):
    (parts / "left" / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert run.main([]) == 2


def test_what_waits_for_a_command_that_fails_is_not_run_and_all_fails(folder, capfd, monkeypatch):
    (folder / "left").mkdir()
    (folder / "left/test_left.py").write_text("def test_left():\n    pass\n")
    command = ("-c", "print('no room on the disk'); raise SystemExit(1)")
    given(monkeypatch, Part("build", command=command), Part("left", ("left",), after=("build",)))
    assert run.main([]) not in (0, 1)
    said = capfd.readouterr().out
    assert "no room on the disk" in said and "passed" not in said


def test_nothing_need_be_left_that_no_part_names(parts, capfd):
    (parts / "test_alone.py").unlink()
    assert run.main([]) == 0
    assert capfd.readouterr().out.count("1 passed") == 2


def names(waiting, running=(), done=()):
    return [part.name for part in run.may_begin(list(waiting), dict.fromkeys(running), set(done))]


def test_no_more_begin_than_run_at_a_time_and_the_first_named_come_first():
    parts = [Part(name, (name,)) for name in "abcde"]
    assert names(parts) == ["a", "b", "c"]
    assert names(parts[2:], running=parts[:2]) == ["c"]


def test_two_that_hold_the_same_never_run_side_by_side():
    engine = frozenset({"engine"})
    one, two, other = Part("one", holds=engine), Part("two", holds=engine), Part("other")
    assert names([one, two, other]) == ["one", "other"]
    assert names([two], running=[one]) == []
    assert names([two], running=[other]) == ["two"]


def test_what_is_waited_for_is_over_first_unless_this_tree_has_it_not():
    build, cluster = Part("build"), Part("cluster", after=("build",))
    assert names([build, cluster]) == ["build"]
    assert names([cluster], running=[build]) == []
    assert names([cluster], done=["build"]) == ["cluster"] == names([cluster])


def test_the_parts_of_this_tree_are_there_and_name_each_other():
    known = {part.name for part in run.PARTS}
    for part in run.PARTS:
        assert set(part.after) <= known and bool(part.paths) != bool(part.command)
        assert len(part.there()) == len([path for path in part.paths if not path.startswith("-")])


def test_the_images_that_are_built_are_those_that_are_tested():
    build = next(part for part in run.PARTS if part.name == "build")
    assert sorted(build.command[2:]) == sorted(["base", *BY_DEFAULT])


def test_what_make_test_leaves_out_of_the_cloud_is_there_and_in_its_own_target():
    from tests.openstack_cloud.conftest import LEFT_OUT

    folder = run.ROOT / "tests/openstack_cloud/sessions"
    there = "".join(path.read_text() for path in folder.glob("test_*.py"))
    assert all(f"async def {name.partition('[')[0]}(" in there for name in LEFT_OUT)
    assert "VISA_TEST_OPENSTACK=all" in (run.ROOT / "Makefile").read_text()
    services = next(part for part in run.PARTS if part.name == "services")
    cloud = next(part for part in run.PARTS if part.name == "cloud")
    assert cloud.after == (services.name,) and services.command[-1] == "tests.openstack_cloud.environment"
