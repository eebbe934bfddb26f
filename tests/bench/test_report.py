"""The figures' arithmetic: ratios, percentiles, and what the report says of them."""

from __future__ import annotations

import os

import pytest

from bench.memory import memory_of
from bench.report import ratios, report
from bench.rounds import Figures
from bench.wording import percentile


@pytest.fixture
def figures() -> Figures:
    taken = Figures()
    for side, values in {"ours": (1.0, 9.0, 2.0), "stock": (4.0, 5.0, 0.1), "bare": (2.5, 2.5, 2.5)}.items():
        for value in values:
            taken.add("start", side, value)
    return taken


def test_ratios_are_of_medians(figures):
    assert ratios(figures) == [("start", "ours", "stock", 0.5, 0.5), ("start", "ours", "bare", 0.8, 0.7)]


def test_the_report_says_what_is_reached_and_what_is_missed(figures):
    lines = report(figures, {"first page": [0.01] * 90 + [0.2] * 10}, 0.0).splitlines()
    (stock,) = [line for line in lines if "**0.50**" in line]
    (bare,) = [line for line in lines if "**0.80**" in line]
    (page,) = [line for line in lines if "first page" in line]
    assert stock.endswith("reached |")
    assert bare.endswith("missed |")
    assert "200 ms" in page
    assert page.endswith("missed |")
    assert any("2.00 s (1.00 s to 9.00 s)" in line for line in lines)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([3, 1, 2], 0.5, 2), (range(1, 101), 0.95, 95), ([7], 0.95, 7), (range(1, 21), 0.95, 19)],
)
def test_percentile_is_a_value_that_was_measured(values, share, expected):
    assert percentile(list(values), share) == expected


def test_a_report_without_our_side_has_no_ratios():
    figures = Figures()
    figures.add("start", "stock", 4.0)
    assert ratios(figures) == []
    assert "4.00 s" in report(figures, {}, 0.5)


def test_memory_is_read_from_the_processs_own_cgroup():
    assert memory_of(os.getpid()) > 2**20


@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (10.0 * (os.cpu_count() or 1), True)])
def test_a_busy_machines_figures_say_so(figures, load, busy):
    assert ("take these figures again" in report(figures, {}, load)) == busy
