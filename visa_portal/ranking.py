"""Which profile suits which experiments, and why: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from visa_catalogue.model import Experiment

from .models import Plan, Profile

#: What a match is worth. A technique says more about the software one needs than the place does.
TECHNIQUE, INSTRUMENT, ANY_WORK = 4, 2, 1


@dataclass(frozen=True)
class Ranked:
    """A profile with its rank: `score` from 0 (not made for this), `reason` a short sentence."""

    profile: Profile
    score: float
    reason: str

    @property
    def suits(self) -> bool:
        """Whether it is made for this work, or for any."""
        return self.score > 0


def rank(experiments: Sequence[Experiment], profiles: Iterable[Profile]) -> list[Ranked]:
    """The profiles, best first; equals keep the order the facility gave them."""
    ranked = [_rank_one(experiments, profile) for profile in profiles]
    return sorted(ranked, key=lambda one: -one.score)


def best_plan(profile: Profile) -> Plan | None:
    """The plan to offer first: with room now, else one that waits in a queue; None where there is none."""
    return min(profile.plans, key=_wait, default=None)


def best(ranked: Sequence[Ranked]) -> Ranked | None:
    """The profile to offer first: of those that suit equally well, one with room now, else with a queue."""
    if not ranked:
        return None
    equals = [one for one in ranked if one.score == ranked[0].score and one.profile.plans]
    return min(equals, key=lambda one: _wait(best_plan(one.profile)), default=ranked[0])


def _wait(plan: Plan) -> int:
    """How much stands between a plan and its start: nothing, a queue, no room at all."""
    return 0 if plan.has_room else 1 if plan.waits else 2


def _rank_one(experiments: Sequence[Experiment], profile: Profile) -> Ranked:
    made_for_any = not profile.suits.instruments and not profile.suits.techniques
    if made_for_any:
        return Ranked(profile, ANY_WORK, "for any work")
    if not experiments:
        return Ranked(profile, 0, f"made for {_made_for(profile)}")
    matches = [_match(experiment, profile) for experiment in experiments]
    score = sum(matched for matched, _ in matches) / len(experiments)
    if score == 0:
        return Ranked(profile, 0, f"made for {_made_for(profile)}")
    whys = list(dict.fromkeys(why for matched, why in matches if matched))
    suited = sum(1 for matched, _ in matches if matched)
    if suited < len(experiments):
        return Ranked(profile, score, f"suits {suited} of {len(experiments)}: {_and(whys)}")
    return Ranked(profile, score, f"suits {_and(whys)}")


def _match(experiment: Experiment, profile: Profile) -> tuple[int, str]:
    technique = bool(experiment.technique) and _in(experiment.technique, profile.suits.techniques)
    instrument = _in(experiment.instrument, profile.suits.instruments)
    place = experiment.instrument.upper()
    if technique and instrument:
        return TECHNIQUE + INSTRUMENT, f"{experiment.technique} on {place}"
    if technique:
        return TECHNIQUE, experiment.technique
    if instrument:
        return INSTRUMENT, place
    return 0, ""


def _in(value: str, among: Iterable[str]) -> bool:
    return value.casefold() in {one.casefold() for one in among}


def _made_for(profile: Profile) -> str:
    return _and([*profile.suits.techniques, *(name.upper() for name in profile.suits.instruments)])


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))
