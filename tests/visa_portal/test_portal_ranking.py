from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from demo.facility.beamtimes import KINDS, archive, beamtimes
from visa_catalogue import Kinds, kinds_of
from visa_catalogue.model import Dataset, Experiment
from visa_portal.models import Profile, Used
from visa_portal.ranking import best, best_plan, rank
from visa_spawner.profiles.files import load_profiles

ROOT = Path(__file__).parents[2]


def experiment(instrument, technique="", id="a"):
    day = date(2026, 3, 3)
    return Experiment(
        id=id,
        title="t",
        proposal="p",
        instrument=instrument,
        technique=technique,
        start=day,
        end=day,
        raw="/r",
    )


def profile(name, instruments=(), techniques=(), rooms=(1,), definitions=()):
    plans = [{"name": f"p{n}", "free": {"sessions": room}} for n, room in enumerate(rooms)]
    suits = {"instruments": instruments, "techniques": techniques, "definitions": definitions}
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


def test_best_has_its_software():
    lacking = {"sessions": 0, "prepared": False}
    plans = [{"name": "small", "free": lacking}, {"name": "large", "free": lacking}]
    bare = TOMO.model_validate(TOMO.model_dump() | {"plans": plans})
    ranked = rank([experiment("id19", "tomography")], [bare, DIFF, GENERAL])
    assert ranked[0].profile is bare
    assert best(ranked).profile is GENERAL, "and not what is made for something else"
    assert best(rank([experiment("id19", "tomography")], [bare, DIFF])).profile is bare, "nothing else suits"


POWDER = profile("powder", ["bm29"], ["powder diffraction", "saxs"], definitions=["NXsas"])
NXTOMO = profile("nxtomo", [], [], definitions=["NXtomo"])


def kinds(*pairs):
    """Of datasets, each with its definition and technique."""
    return kinds_of(
        Dataset(id=str(n), experiment="a", name="n", path="/r/n", definition=definition, technique=technique)
        for n, (definition, technique) in enumerate(pairs)
    )


@pytest.mark.parametrize(
    ("of_experiment", "of_data", "order", "reasons"),
    [
        # What the data are counts for more than the experiment's heading, with the instrument or without.
        (
            experiment("id11", "diffraction"),
            kinds(("", "powder diffraction")),
            ["diffraction", "powder"],
            ["suits diffraction on ID11", "suits powder diffraction data"],
        ),
        (
            experiment("id99", "diffraction"),
            kinds(("", "powder diffraction")),
            ["powder", "diffraction"],
            ["suits powder diffraction data", "suits diffraction"],
        ),
        (
            experiment("bm29", "saxs"),
            kinds(("NXsas", "saxs"), ("NXsas", "saxs")),
            ["powder", "diffraction"],
            ["suits saxs (NXsas data) on BM29", "made for diffraction and ID11"],
        ),
        (
            experiment("bm29"),
            kinds(("NXsas", "")),
            ["powder", "diffraction"],
            ["suits NXsas data on BM29", "made for diffraction and ID11"],
        ),
        # Nothing of what the data are is made up where the catalogue does not say.
        (
            experiment("id99"),
            kinds(("", "")),
            ["powder", "diffraction"],
            [
                "made for powder diffraction, saxs and BM29",
                "made for diffraction and ID11",
            ],
        ),
    ],
)
def test_the_data_themselves_count(of_experiment, of_data, order, reasons):
    ranked = rank([of_experiment], [POWDER, DIFF], {"a": of_data})
    assert [one.profile.name for one in ranked] == order
    assert [one.reason for one in ranked] == reasons


def test_data_of_another_experiment_do_not_count():
    assert rank([experiment("id99")], [NXTOMO, GENERAL], {"b": kinds(("NXtomo", ""))})[0].profile is GENERAL
    first = rank([experiment("id99")], [NXTOMO, GENERAL], {"a": kinds(("NXtomo", ""))})[0]
    assert (first.profile, first.reason) == (NXTOMO, "suits NXtomo data")
    assert rank([experiment("id99")], [GENERAL, NXTOMO], {"a": Kinds()})[-1].reason == "made for NXtomo"


def use(profile, by, day, experiment="a", plan=""):
    when = datetime(2026, 3, day, 12, tzinfo=UTC)
    return Used(experiment=experiment, profile=profile, plan=plan, by=by, when=when)


@pytest.mark.parametrize(
    ("used", "order", "reason"),
    [
        ([], ["tomography", "here", "general", "diffraction"], "suits tomography on ID19"),
        (
            [use("diffraction", "team", 5)],
            ["diffraction", "tomography", "here", "general"],
            "the team used it here on 5 Mar 2026",
        ),
        (
            [use("here", "team", 9), use("diffraction", "you", 2)],
            ["diffraction", "here", "tomography", "general"],
            "you used it here on 2 Mar 2026",
        ),
        (
            [use("general", "you", 2), use("here", "you", 3), use("general", "team", 9)],
            ["here", "general", "tomography", "diffraction"],
            "you used it here on 3 Mar 2026; suits ID19",
        ),
        # One's own use counts, whenever the team's was.
        (
            [use("here", "you", 2), use("here", "team", 9)],
            ["here", "tomography", "general", "diffraction"],
            "you used it here on 2 Mar 2026; suits ID19",
        ),
        # Nothing is known of a profile that is no more, nor of an experiment that is not chosen.
        (
            [use("gone", "you", 2), use("diffraction", "you", 2, "b")],
            ["tomography", "here", "general", "diffraction"],
            "suits tomography on ID19",
        ),
    ],
)
def test_what_was_used_before_comes_first(used, order, reason):
    ranked = rank([experiment("id19", "tomography")], [GENERAL, TOMO, DIFF, HERE], used=used)
    assert [one.profile.name for one in ranked] == order
    assert ranked[0].reason == reason
    assert ranked[0].suits


def test_of_several_experiments_it_is_said_for_which_one():
    chosen = [experiment("id19"), experiment("id11", id="b")]
    first = rank(chosen, [GENERAL, TOMO], used=[use("general", "team", 4, "b")])[0]
    assert (first.profile, first.reason) == (GENERAL, "the team used it for b on 4 Mar 2026")


def test_the_plan_used_before_is_offered_where_it_has_room():
    roomy = profile("a", rooms=(1, 1, 0))
    assert best_plan(roomy, "p1").name == "p1"
    assert best_plan(roomy, "p2").name == "p0"
    assert best_plan(roomy, "none").name == "p0"


SHIPPED = [
    Profile.model_validate(
        one.model_dump(mode="json", exclude={"plans"}) | {"plans": [{"name": name} for name in one.plans]}
    )
    for one in load_profiles(ROOT / "profiles").values()
]
#: What each of the demo's instruments measures is best treated with.
RIGHT = {"id11": "powder", "id19": "tomography", "id21": "fluorescence", "bm29": "powder"}


def test_each_of_the_demos_experiments_suggests_the_right_profile():
    made = beamtimes(Path("/data/visitor"), 1, 8)
    assert {one.experiment.instrument for one in made} == set(RIGHT)
    for one in made:
        known = kinds(
            *[(kind.get("definition", ""), kind["technique"]) for kind in [KINDS[one.experiment.technique]]]
        )
        ranked = rank([one.experiment], SHIPPED, {one.experiment.id: known})
        assert ranked[0].profile.name == RIGHT[one.experiment.instrument], ranked[0]
        assert ranked[0].score > ranked[1].score


def test_the_archive_is_suggested_what_its_heading_says():
    right = {"diffraction": "diffraction", "saxs": "powder"}
    for one in archive(Path("/data/visitor"), 1, 200):
        first = rank([one], SHIPPED)[0]
        assert first.profile.name == right.get(one.technique, one.technique)
