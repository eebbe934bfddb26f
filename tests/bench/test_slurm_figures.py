"""The arithmetic of Slurm's figures, and what the report says of them."""

from __future__ import annotations

import json
import os
import time

import pytest

from bench.rounds import Figures
from bench.slurm.cluster import cpu_of
from bench.slurm.crowd import steps
from bench.slurm.report import PARTS, complete, growth, overhead, report, start_share, times_less
from bench.slurm.starts import listens


@pytest.fixture
def figures() -> Figures:
    taken = Figures()
    for count, scale in ((10, 1), (1000, 100)):
        for what in ("hub", "controller", "watch"):
            for value in (0.1, 9.0, 0.2):
                taken.add(f"{what} {count}", "stock", value * scale)
                taken.add(f"{what} {count}", "ours", value * (1 if count == 10 else 3) / 100)
    for value in (1.0, 30.0, 2.0):
        taken.add("start", "stock", value * 4)
        taken.add("start", "ours", value)
        taken.add("port known", "ours", value)
        taken.add("job alone", "ours", value - 0.1)
        taken.add("submission", "ours", value / 10)
        for side, share in (("without", 2.0), ("seat", 1.0)):
            taken.add("idle", side, value)
            taken.add("full", side, value * share)
    for value in range(1, 101):
        taken.add("crowd", "stock", value * 2.0)
        taken.add("crowd", "ours", float(value))
        taken.add("crowd port", "ours", value / 2)
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


def test_a_start_is_measured_against_stock_and_against_its_own_job(figures):
    assert start_share(figures) == pytest.approx(0.25)
    assert overhead(figures) == pytest.approx(0.1)
    text = report(figures, 0.0)
    assert "| **0.25** | at most 0.6 | reached |" in text
    assert "| **0.10 s** | at most 0.3 s | reached |" in text
    for _ in range(4):
        figures.add("start", "ours", 5.0)
        figures.add("port known", "ours", 5.0)
    text = report(figures, 0.0)
    assert "| **0.62** | at most 0.6 | missed |" in text
    assert "| **3.10 s** | at most 0.3 s | missed |" in text


def test_a_crowd_is_told_by_median_and_95th_percentile(figures):
    text = report(figures, 0.0)
    assert "## 100 starts at once" in text
    assert "| median | 101.0 s | 50.5 s |" in text
    assert "| 95th percentile | 190.0 s | 95.0 s |" in text
    assert "| the port is known for | 25.2 s | 50.0 s |" in text


def test_kept_room_is_shown_beside_none(figures):
    text = report(figures, 0.0)
    assert "| on an idle partition | 2.0 s (1.0 to 30.0) | 2.0 s (1.0 to 30.0) |" in text
    assert "room | 4.0 s (2.0 to 60.0) | 2.0 s (1.0 to 30.0) |" in text


@pytest.mark.parametrize("part", PARTS)
def test_a_report_without_one_of_its_parts_is_not_written(figures, part):
    for sides in figures.values.values():
        for values in sides.values():
            values += values * 2
    assert complete(figures)
    del figures.values[part]
    assert not complete(figures)


def test_a_listening_socket_is_an_accounts_own_on_all_addresses():
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n"
    row = "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000 {}        0 7 1 x 100 0 0 10 0\n"
    there = row.format("00000000:1F90", "0A", 29901)
    assert listens(29901, [head + there])
    assert not listens(29902, [head + there])
    assert not listens(29901, [head + row.format("0100007F:1F90", "0A", 29901)])
    assert not listens(29901, [head + row.format("00000000:1F90", "01", 29901)])


def test_steps_of_a_crowd_are_told_from_its_first():
    lines = [
        {"what": "asked", "at": 5.0},
        {"what": "asked", "at": 6.0},
        {"what": "port", "at": 9.0},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    assert steps(text) == {"asked": [0.0, 1.0], "submitted": [], "placed": [], "port": [4.0]}


def test_the_cpu_of_a_process_is_told_finely():
    before = cpu_of(os.getpid())
    end = time.process_time() + 0.02
    while time.process_time() < end:
        pass
    assert 0.015 < cpu_of(os.getpid()) - before < 1
