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
ALWAYS = "def test_broken():\n    assert False\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "LAST_FAILED", tmp_path / ".pytest_cache/v/cache/lastfailed")
    return tmp_path


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
