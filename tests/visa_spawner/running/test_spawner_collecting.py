"""Python's collector of garbage, which stops the hub for as long as it looks through all that lives."""

import gc
import weakref

import pytest

from visa_spawner.running.collecting import ALL, Collector


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Thing:
    """Garbage as soon as nobody else knows it, and found by the collector alone."""

    def __init__(self):
        self.myself = self


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def collector(clock):
    gc.collect()
    collector = Collector(clock)
    collector.begin()
    yield collector
    collector.end()
    gc.collect()


def test_what_has_outlived_one_look_is_looked_at_no_more(collector):
    kept = [[number] for number in range(50_000)]
    gc.collect()
    looked_at = len(gc.get_objects())
    assert len(kept) == 50_000
    assert looked_at < 5_000


def test_new_garbage_is_found_as_ever(collector):
    gc.collect()
    gone = weakref.ref(Thing())
    assert gone() is not None
    gc.collect()
    assert gone() is None


def test_garbage_among_what_stays_is_found_a_few_times_a_day(collector, clock, caplog):
    caplog.set_level("INFO", "jupyterhub.visa.collecting")
    thing = Thing()
    gc.collect()
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    collector.look_at_all()
    assert gone() is not None, "not yet time"
    clock.now += ALL
    collector.look_at_all()
    assert gone() is None
    assert "garbage found in" in caplog.text
    assert gc.get_freeze_count() > 1000, "and what is left stays again"


def test_beginning_twice_is_the_same(collector):
    collector.begin()
    assert gc.callbacks.count(collector._after) == 1
