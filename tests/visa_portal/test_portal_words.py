from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup

from visa_portal import words
from visa_portal.models import Plan, Session
from visa_portal.models_staff import Node
from visa_portal.site import environment

GB = 2**30


def test_a_node_that_misses_a_look_is_late_before_it_is_silent():
    def late(state="silent", seconds=10):
        since = None if seconds is None else datetime.now(UTC) - timedelta(seconds=seconds)
        return Node(backend="container", node="n1", state=state, since=since).late

    assert late()
    assert not late(seconds=90)
    assert not late("answers")
    assert not late("unknown")
    # Slurm has waited by itself before it says so.
    assert not late(seconds=None)


@pytest.mark.parametrize(("seconds", "said"), [(10, "unknown No answer yet"), (90, "failed Does not answer")])
def test_the_page_of_nodes_turns_red_only_when_one_stays_silent(seconds, said):
    site = SimpleNamespace(prefix="/", asset=str, open_url=str, open_at=str)
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    node = Node(backend="container", node="n1", state="silent", since=since)
    shown = environment(site).get_template("admin_nodes_list.html").render(site=site, nodes=[node], xsrf="")
    chip = BeautifulSoup(shown, "html.parser").select_one(".chips .state")
    assert f"{chip['data-state']} {chip.text}" == said


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"cpus": 4, "memory": 16 * GB}, "4 cores, 16 GB"),
        ({"cpus": 1, "memory": GB, "gpus": 1}, "1 core, 1 GB, 1 GPU"),
        (
            {"cpus": 0.5, "memory": 1536 * 2**20, "gpus": 2, "gpu_type": "a100"},
            "0.5 cores, 1.5 GB, 2 A100 GPUs",
        ),
        ({}, ""),
    ],
)
def test_hardware(plan, said):
    assert words.hardware(Plan.model_validate({"name": "p"} | plan)) == said


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (None, ""),
        ({"sessions": 0, "words": ""}, "No room now"),
        ({"sessions": 1, "words": ""}, "Room for 1 now"),
        ({"sessions": 3, "words": "3 GPUs free"}, "3 GPUs free"),
    ],
)
def test_room(free, said):
    assert words.room(Plan(name="p", free=free)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute"),
        (59, "less than a minute"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (11520, "3 h 12 min"),
        (172800, "2 days"),
        (180000, "2 days 2 h"),
    ],
)
def test_duration(seconds, said):
    assert words.duration(seconds) == said


def test_time_left():
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    session = Session(owner="a", name="b", ends=now + timedelta(hours=3))
    assert words.left(session, now) == "3 h"
    assert words.left(session, now + timedelta(hours=4)) == "at its end"
    assert words.left(Session(owner="a", name="b"), now) == ""


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (date(2026, 3, 3), date(2026, 3, 3), "3 Mar 2026"),
        (date(2026, 3, 3), date(2026, 3, 7), "3–7 Mar 2026"),
        (date(2026, 3, 30), date(2026, 4, 2), "30 Mar – 2 Apr 2026"),
        (date(2025, 12, 30), date(2026, 1, 2), "30 Dec 2025 – 2 Jan 2026"),
    ],
)
def test_dates(start, end, said):
    assert words.dates(start, end) == said


def test_moment_is_utc_whatever_it_came_in():
    naive = datetime(2026, 11, 22, 12, 30)
    assert 'datetime="2026-11-22T12:30:00Z"' in words.moment(naive)
    assert words.moment(naive.replace(tzinfo=UTC)) == words.moment(naive)
    assert words.moment(None) == ""


def test_others_text_is_escaped_and_set_apart():
    assert words.foreign('<b>"&') == "<bdi>&lt;b&gt;&#34;&amp;</bdi>"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"message": "Spawn failed: there is no room"}, "There is no room"),
        ({"message": "Spawn failed"}, "The session did not start."),
        ({"message": "Spawn cancelled"}, "The start was cancelled."),
        ({}, "The session did not start."),
    ],
)
def test_failure(event, said):
    assert words.failure(event) == said


def test_stock_steps_are_put_in_our_words():
    assert words.step({"message": "Server requested"}) == ""
    assert words.step({"message": "Checking your data"}) == "Checking your data"
