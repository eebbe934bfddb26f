"""What the commands that take figures end with."""

import asyncio
import os
import signal

import pytest

from bench.command import carry_out
from bench.hub import BenchFailed


def take(outcome):
    """Something that takes figures in its folder, and comes to this."""

    def taken(scratch):
        (scratch / "log").touch()
        taken.folder = scratch
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return taken


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_report_is_written_down(tmp_path, capsys, whole):
    results, given = tmp_path / "RESULTS.md", take(("the report", whole))
    assert carry_out("it must", given, results) == 0
    assert "the report" in capsys.readouterr().out
    assert results.exists() == whole
    assert not given.folder.exists()


def test_a_failure_is_said_with_all_that_is_known_of_it(tmp_path, capsys):
    error = BenchFailed("the hub did not answer")
    error.add_note("the end of its log")
    given = take(error)
    assert carry_out("it must", given, tmp_path / "RESULTS.md") == 1
    assert capsys.readouterr().err == "\nthe hub did not answer\nthe end of its log\n"
    assert not list(tmp_path.iterdir()) and not given.folder.exists()


def test_one_that_is_told_to_end_says_so(tmp_path):
    assert carry_out("it must", take(asyncio.CancelledError()), tmp_path / "x") == 128 + signal.SIGTERM


def test_nobody_but_root(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert carry_out("it must", take(("the report", True)), tmp_path / "x") == 1
    assert capsys.readouterr().err == "The figures need root: it must.\n"
