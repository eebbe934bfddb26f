"""The arithmetic of the machines' figures, what the report says of them, and the relay that counts."""

from __future__ import annotations

import struct
from collections import Counter

import pytest

from bench.machines.relay import REMOTE, Asked
from bench.machines.report import complete, report, share
from bench.machines.starts import steps
from bench.rounds import Figures


@pytest.fixture
def figures() -> Figures:
    taken = Figures()
    for value in (60.0, 90.0, 61.0):
        taken.add("start", "hand", value)
        taken.add("start", "cold", value * 1.1)
        taken.add("start", "pooled", value / 10)
        taken.add("cpu", "hand", value * 2)
    for count, scale in ((10, 1), (200, 3)):
        for _ in range(3):
            taken.add(f"asked {count}", "watch", 1)
            taken.add(f"hub {count}", "watch", 0.001 * scale)
            taken.add(f"libvirtd {count}", "watch", 0.002 * scale)
    return taken


def test_a_start_is_measured_against_the_boot_by_hand(figures):
    assert share(figures, "cold") == pytest.approx(1.1)
    text = report(figures, 0.0)
    assert "| **1.10** | at most 1.15 | reached |" in text
    assert "| **0.10** | at most 0.15 | reached |" in text
    assert "| the disk booted by hand | 61.0 s (60.0 to 90.0) | 122.0 s (120.0 to 180.0) |" in text
    for _ in range(4):
        figures.add("start", "cold", 80.0)
        figures.add("start", "pooled", 10.0)
    text = report(figures, 0.0)
    assert "| **1.31** | at most 1.15 | missed |" in text
    assert "| **0.16** | at most 0.15 | missed |" in text


def test_one_look_is_one_question(figures):
    assert "200 machines | **1** | 1 | reached |" in report(figures, 0.0)
    figures.add("asked 200", "watch", 1.05)
    assert "200 machines | **1.05** | 1 | missed |" in report(figures, 0.0)


def test_a_part_or_too_few_rounds_are_no_result(figures):
    assert complete(figures)
    del figures.values["start"]["pooled"][0]
    assert not complete(figures)
    del figures.values["start"]
    assert not complete(figures) and "## One start" not in report(figures, 99.0)
    assert "busy with other work" in report(figures, 99.0)


def test_where_a_cold_starts_time_goes_by_what_the_hub_told():
    heard = [(1.0, "Looking for room"), (1.5, "Making the machine"), (2.0, "Booting the machine")]
    heard += [(62.0, "Handing the machine over"), (65.0, "Ready")]
    assert list(steps(1.0, heard, 66.0).values()) == [61.0, 4.0]
    assert list(steps(1.0, heard[:1], 66.0).values()) == [65.0]


def test_the_relay_counts_questions_and_nothing_else():
    def packet(program=REMOTE, procedure=7, kind=0, more=b""):
        return struct.pack(">IIIIII", 24 + len(more), program, 1, procedure, kind, 1) + more

    counts = Counter()
    asked = Asked(counts)
    stream = packet(more=b"x" * 99) + packet(procedure=8) + packet(program=0x6B656570) + packet(kind=2)
    for number in range(0, len(stream), 5):
        asked.take(stream[number : number + 5])
    assert counts == {7: 1, 8: 1}
