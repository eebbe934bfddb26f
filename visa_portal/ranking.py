"""Which profile suits which experiments, and why: pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from visa_catalogue import Kinds
from visa_catalogue.model import Experiment

from .models import Plan, Profile, Used
from .words import dates, some

#: What a match is worth. What the data themselves are says more than the experiment's heading, and that more
#: about the software one needs than the place does.
DATA, TECHNIQUE, INSTRUMENT, ANY_WORK = 5, 4, 2, 1
#: Whose use of a profile counts first.
YOU, TEAM = "you", "team"


@dataclass(frozen=True)
class Ranked:
    """A profile with its rank: `score` from 0 (not made for this), `reason` a short sentence.

    `used` is the last time that it was worked with on these experiments, by this person or by their team.
    """

    profile: Profile
    score: float
    reason: str
    used: Used | None = None

    @property
    def suits(self) -> bool:
        """Whether it is made for this work, or for any, or was good for it before."""
        return self.score > 0 or self.used is not None

    @property
    def order(self) -> tuple:
        """What goes before what: one's own use, the team's, then what suits; the later use first."""
        if self.used is None:
            return 2, 0.0, -self.score
        return 0 if self.used.by == YOU else 1, -self.used.when.timestamp(), -self.score


def rank(
    experiments: Sequence[Experiment],
    profiles: Iterable[Profile],
    kinds: Mapping[str, Kinds] | None = None,
    used: Sequence[Used] = (),
) -> list[Ranked]:
    """The profiles, best first; equals keep the order the facility gave them.

    `kinds` says of each experiment, by its id, what its datasets are; `used` what was worked with on them.
    """
    here = {experiment.id for experiment in experiments}
    last = _last([one for one in used if one.experiment in here])
    ranked = [_rank_one(experiments, profile, kinds or {}, last.get(profile.name)) for profile in profiles]
    return sorted(ranked, key=lambda one: one.order)


def best_plan(profile: Profile, wanted: str = "") -> Plan | None:
    """The plan to offer first: with room now, else one that waits in a queue; None where there is none.

    Of equals it is the one that is `wanted`, else the first.
    """
    return min(profile.plans, key=lambda plan: (_wait(plan), plan.name != wanted), default=None)


def best(ranked: Sequence[Ranked]) -> Ranked | None:
    """The profile to offer first: of those that suit equally well, one with room now, else with a queue.

    One whose software is not there is passed over where another suits.
    """
    if not ranked:
        return None
    first = next((one for one in ranked if one.suits and _prepared(one.profile)), ranked[0])
    equals = [one for one in ranked if one.order == first.order and one.profile.plans]
    return min(equals, key=lambda one: _wait(best_plan(one.profile)), default=first)


def _prepared(profile: Profile) -> bool:
    return any(plan.prepared for plan in profile.plans)


def _wait(plan: Plan) -> int:
    """How much stands between a plan and its start: nothing, a queue, no room at all, no software."""
    return 0 if plan.has_room else 1 if plan.waits else 2 if plan.prepared else 3


def _last(used: Sequence[Used]) -> dict[str, Used]:
    """The use of each profile that counts: one's own before the team's, then the latest."""
    found: dict[str, Used] = {}
    for one in sorted(used, key=lambda one: (one.by == YOU, one.when)):
        found[one.profile] = one
    return found


def _rank_one(
    experiments: Sequence[Experiment], profile: Profile, kinds: Mapping[str, Kinds], used: Used | None
) -> Ranked:
    score, reason = _suits(experiments, profile, kinds)
    if used is not None:
        reason = _used(used, alone=len(experiments) == 1) + (f"; {reason}" if score > ANY_WORK else "")
    return Ranked(profile, score, reason, used)


def _used(used: Used, alone: bool) -> str:
    """`you used it here on 3 Mar 2026`."""
    who = "you used it" if used.by == YOU else "the team used it"
    day = used.when.date()
    return f"{who} {'here' if alone else f'for {used.experiment}'} on {dates(day, day)}"


def _suits(
    experiments: Sequence[Experiment], profile: Profile, kinds: Mapping[str, Kinds]
) -> tuple[float, str]:
    made_for = profile.suits
    if not (made_for.instruments or made_for.techniques or made_for.definitions):
        return ANY_WORK, "for any work"
    if not experiments:
        return 0, f"made for {_made_for(profile)}"
    matches = [_match(experiment, kinds.get(experiment.id, Kinds()), profile) for experiment in experiments]
    score = sum(matched for matched, _ in matches) / len(experiments)
    if score == 0:
        return 0, f"made for {_made_for(profile)}"
    whys = list(dict.fromkeys(why for matched, why in matches if matched))
    suited = sum(1 for matched, _ in matches if matched)
    if suited < len(experiments):
        return score, f"suits {suited} of {len(experiments)}: {_and(whys)}"
    return score, f"suits {_and(whys)}"


def _match(experiment: Experiment, kinds: Kinds, profile: Profile) -> tuple[int, str]:
    suits = profile.suits
    definition = next((one for one in kinds.definitions if _in(one, suits.definitions)), "")
    of_data = next((one for one in kinds.techniques if _in(one, suits.techniques)), "")
    technique = experiment.technique if _in(experiment.technique, suits.techniques) else ""
    instrument = _in(experiment.instrument, suits.instruments)
    score = DATA if definition or of_data else TECHNIQUE if technique else 0
    what = technique or of_data
    if definition:
        what = f"{what} ({definition} data)" if what else f"{definition} data"
    elif of_data and not technique:
        what = f"{of_data} data"
    place = experiment.instrument.upper() if instrument else ""
    why = f"{what} on {place}" if what and place else what or place
    return score + (INSTRUMENT if instrument else 0), why


def _in(value: str, among: Iterable[str]) -> bool:
    return bool(value) and value.casefold() in {one.casefold() for one in among}


def _made_for(profile: Profile) -> str:
    suits = profile.suits
    named = [*(suits.techniques or suits.definitions), *(name.upper() for name in suits.instruments)]
    return _and(named) if len(named) <= 3 else some(named)


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1] if words else ""]))
