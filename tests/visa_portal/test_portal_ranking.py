from datetime import date

import pytest

from visa_catalogue.model import Experiment
from visa_portal.models import Profile
from visa_portal.ranking import best, best_plan, rank


def experiment(instrument, technique=""):
    day = date(2026, 3, 3)
    return Experiment(
        id="a",
        title="t",
        proposal="p",
        instrument=instrument,
        technique=technique,
        start=day,
        end=day,
        raw="/r",
    )


def profile(name, instruments=(), techniques=(), rooms=(1,)):
    plans = [{"name": f"p{n}", "free": {"sessions": room}} for n, room in enumerate(rooms)]
    suits = {"instruments": instruments, "techniques": techniques}
    return Profile.model_validate({"name": name, "suits": suits, "plans": plans})


GENERAL = profile("general")
TOMO = profile("tomography", ["id19", "bm18"], ["tomography"])
DIFF = profile("diffraction", ["id11"], ["diffraction"])
HERE = profile("here", ["id19"])


@pytest.mark.parametrize(
    ("experiments", "order", "reasons"),
    [
        (
            [experiment("id19", "tomography")],
            ["tomography", "here", "general", "diffraction"],
            ["suits tomography on ID19", "suits ID19", "for any work", "made for diffraction and ID11"],
        ),
        (
            [experiment("ID19", "Tomography")],
            ["tomography", "here", "general", "diffraction"],
            ["suits Tomography on ID19", "suits ID19", "for any work", "made for diffraction and ID11"],
        ),
        (
            [experiment("id99", "tomography")],
            ["tomography", "general", "diffraction", "here"],
            ["suits tomography", "for any work", "made for diffraction and ID11", "made for ID19"],
        ),
        (
            [experiment("id11")],
            ["diffraction", "general", "tomography", "here"],
            ["suits ID11", "for any work", "made for tomography, ID19 and BM18", "made for ID19"],
        ),
        (
            [experiment("id19", "tomography"), experiment("id11", "diffraction")],
            ["tomography", "diffraction", "general", "here"],
            [
                "suits 1 of 2: tomography on ID19",
                "suits 1 of 2: diffraction on ID11",
                "for any work",
                "suits 1 of 2: ID19",
            ],
        ),
        (
            [experiment("id19", "tomography"), experiment("bm18", "tomography")],
            ["tomography", "general", "here", "diffraction"],
            [
                "suits tomography on ID19 and tomography on BM18",
                "for any work",
                "suits 1 of 2: ID19",
                "made for diffraction and ID11",
            ],
        ),
        (
            [],
            ["general", "tomography", "diffraction", "here"],
            [
                "for any work",
                "made for tomography, ID19 and BM18",
                "made for diffraction and ID11",
                "made for ID19",
            ],
        ),
    ],
)
def test_ranked_with_reason(experiments, order, reasons):
    ranked = rank(experiments, [GENERAL, TOMO, DIFF, HERE])
    assert [one.profile.name for one in ranked] == order
    assert [one.reason for one in ranked] == reasons


def test_no_technique_is_no_match():
    # An experiment whose technique nobody wrote down must not match a profile with an empty one.
    assert not rank([experiment("id99", "")], [profile("odd", ["id1"], [""])])[0].suits


@pytest.mark.parametrize(("rooms", "chosen"), [((0, 2, 1), "p1"), ((1, 2), "p0"), ((0, 0), "p0"), ((), None)])
def test_first_plan_with_room(rooms, chosen):
    plan = best_plan(profile("a", rooms=rooms))
    assert (plan and plan.name) == chosen


def test_best_has_room_among_equals():
    full, free = profile("full", ["id19"], rooms=(0,)), profile("free", ["id19"], rooms=(1,))
    assert best(rank([experiment("id19")], [full, free])).profile.name == "free"
    # Room does not make up for software that is made for something else.
    assert best(rank([experiment("id19")], [GENERAL, full])).profile.name == "full"
    assert best([]) is None
