"""The arithmetic of Slurm's figures, and what the report says of them."""

from __future__ import annotations

import os
import time

import pytest

from bench.rounds import Figures
from bench.slurm.cluster import cpu_of
from bench.slurm.report import complete, growth, report, times_less


@pytest.fixture
def figures() -> Figures:
    taken = Figures()
    for count, scale in ((10, 1), (1000, 100)):
        for what in ("hub", "controller", "watch"):
            for value in (0.1, 9.0, 0.2):
                taken.add(f"{what} {count}", "stock", value * scale)
                taken.add(f"{what} {count}", "ours", value * (1 if count == 10 else 3) / 100)
    return taken


def test_ratios_are_of_medians(figures):
    assert times_less(figures, 1000) == pytest.approx(20 / 0.006)
    assert growth(figures) == pytest.approx(3)


def test_three_rounds_are_a_trial(figures):
    assert not complete(figures)


def test_the_report_says_what_is_reached_and_what_is_missed(figures):
    text = report(figures, 0.0)
    assert "| **3333** | at least 500 | reached |" in text
    assert "| **3.0** | at most 4 | reached |" in text
    assert "busy" not in text
    figures.add("watch 1000", "ours", 50.0)
    figures.add("watch 1000", "ours", 50.0)
    assert "missed" in report(figures, 0.0)
    assert "busy with other work" in report(figures, 99.0)


def test_the_cpu_of_a_process_is_told_finely():
    before = cpu_of(os.getpid())
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    assert 0.015 < cpu_of(os.getpid()) - before < 1
