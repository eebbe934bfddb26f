"""The harness of scale, with three sessions: it goes through all it measures, and its counts stay low."""

import pytest

from bench.scale.measure import Plan, measure
from bench.scale.report import table

LIGHT = Plan(quiet=1, working=1, most_active=2, starts=3, starts_within=0.5, settle=0)


@pytest.fixture(scope="module")
def found():
    return measure(3, LIGHT)


def test_everything_is_measured_and_nothing_fails(found):
    assert found["sessions refused"] == 0
    assert found["at work, failed"] == {}
    assert found["starts, failed"] == {}
    assert found["killed, pages of a session missed"] == 0
    assert min(found["p95 My sessions, s"], found["a lone start, s"], found["starts, p95, s"]) > 0
    assert min(found[f"quiet, {name}'s memory, bytes"] for name in ("portal", "proxy")) > 2**24
    assert found["pictures, proxy CPU s a GB"] > 0
    assert "| restart, s |" in table([found, found])


def test_what_is_asked_of_the_database_is_as_little_as_it_was(found):
    """Not to be raised without a look at docs/developers/spawner.md, "Thousands of sessions"."""
    assert found["restart, statements"] <= 30
    assert found["starts, statements each"] <= 50
    assert found["starts, commits each"] <= 20
    assert found["statements, visa/mine"] <= 4
    assert found["statements, visa/notices"] <= 3
    assert found["statements, visa/sessions"] <= 1
