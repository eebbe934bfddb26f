"""The launcher and seats: one account's, named by root, which may hold room and nothing more."""

import pytest
from slurm_desk import HUB_ID, JOB, mark
from slurm_hub import SEATS_UID, SEATS_USER


@pytest.fixture
def seats_desk(desk, slurm):
    slurm.person(SEATS_USER, SEATS_UID)
    desk.configure(seats_user=SEATS_USER)
    return desk


def holding(desk, name=SEATS_USER, **changes):
    request = {
        "do": "hold",
        "person": desk.person(name),
        "mark": mark(),
        "job": dict(JOB),
        "image": "/usr/lib/x",
    }
    return request | changes


def test_a_seat_is_a_job_that_anybody_else_comes_before(seats_desk, slurm):
    wanted = mark()
    job = seats_desk.ask(holding(seats_desk, mark=wanted, job=JOB | {"cpus": 2}))["job"]
    found = slurm.until(job, "RUNNING")
    assert (found["UserId"], found["Comment"]) == (f"{SEATS_USER}({SEATS_UID})", wanted)
    assert (found["Requeue"], found["NumCPUs"], found["Nice"]) == ("0", "2", "1000000")
    # It makes no file, and its own account ends it at once.
    assert seats_desk.files(SEATS_USER) == []
    cancel = {"do": "cancel", "person": seats_desk.person(SEATS_USER), "job": job}
    assert seats_desk.ask(cancel) == {}
    slurm.until(job, "CANCELLED", seconds=5)


@pytest.mark.parametrize(
    "changes",
    [{"image": "relative"}, {"image": "/a/../b"}, {"image": "/a\nb"}, {"image": 7}, {"token": "x" * 32}],
)
def test_what_is_not_as_it_must_be(seats_desk, changes):
    assert seats_desk.ask(holding(seats_desk, **changes))["refused"] == "request"


def test_nobody_else_may_and_it_may_nothing_else(seats_desk):
    assert seats_desk.ask(holding(seats_desk, "alice"))["refused"] == "not_allowed"
    seats_desk.configure(seats_user=SEATS_USER, min_uid=SEATS_UID)  # also where its number is as people's are
    asked = {"person": seats_desk.person(SEATS_USER)}
    for more in (
        {"do": "extend", "job": 1, "minutes": 5},
        {"do": "deliver", "mark": mark(), "token": "x" * 32},
        {"do": "log", "mark": mark(), "lines": 5},
        seats_desk.submission(SEATS_USER),
    ):
        assert seats_desk.ask(more | asked)["refused"] == "not_allowed", more["do"]
    seats_desk.configure(seats_user=SEATS_USER)
    assert seats_desk.ask(holding(seats_desk, mark=mark("another")))["refused"] == "not_allowed"
    seats_desk.configure()
    assert seats_desk.ask(holding(seats_desk))["refused"] == "not_allowed"
    assert HUB_ID == seats_desk.values["hub_id"]


def test_it_has_a_name(seats_desk):
    seats_desk.configure(seats_user=7)
    assert "seats_user must be an account's name, or empty" in seats_desk.refuses_to_run()
