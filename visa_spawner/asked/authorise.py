"""Whether an account may have what it asks for, and what exactly it then gets."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from visa_catalogue import Catalogue, UnknownExperiment
from visa_catalogue.account import Account
from visa_catalogue.model import Dataset, Experiment

from ..profiles.model import Plan, Profile
from ..session import StartRefused
from .request import SessionRequest, shown

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the site allows beyond the profiles.

    `home_only_roles`: who may start a session without an experiment. `max_sessions`: how many sessions
    of one account may run at a time, 0 for any number.
    """

    home_only_roles: frozenset[str] = frozenset()
    max_sessions: int = 0


@dataclass(frozen=True)
class Accepted:
    """A request that may be started, with everything it names looked up. `lifetime_hours` is final."""

    request: SessionRequest
    account: Account
    profile: Profile
    plan_name: str
    plan: Plan
    experiments: tuple[Experiment, ...]
    datasets: tuple[Dataset, ...]
    lifetime_hours: float


async def authorise(
    request: SessionRequest,
    account: Account,
    catalogue: Catalogue,
    profiles: Mapping[str, Profile],
    limits: Limits,
) -> Accepted:
    """Look up all that the request names, as this account.

    Raises StartRefused naming the field. What the account may not see is refused with the same words as
    what does not exist. The number of running sessions is `check_quota`'s, since it must be counted
    without a pause before the start.
    """
    profile = profiles.get(request.profile)
    if profile is None or not profile.allows(account.roles):
        raise StartRefused(f"there is no profile {request.profile} that you may use", field="profile")
    plan = profile.plans.get(request.plan)
    if plan is None:
        known = ", ".join(profile.plans)
        raise StartRefused(f"{profile.name} has no plan {request.plan}; it has: {known}", field="plan")
    hours = _lifetime(request, profile, plan)
    if not request.experiments and limits.home_only_roles.isdisjoint(account.roles):
        raise StartRefused("choose at least one experiment", field="experiments")
    try:
        experiments = tuple([await _experiment(catalogue, account, id) for id in request.experiments])
        datasets = await _datasets(catalogue, request)
    except StartRefused:
        raise
    except Exception as error:
        log.exception("the catalogue did not answer for %s", account.username)
        words = "the catalogue of experiments does not answer at the moment; try again in a minute"
        raise StartRefused(words, field="experiments", status=503, reason="catalogue") from error
    return Accepted(request, account, profile, request.plan, plan, experiments, datasets, hours)


def check_quota(running: int, limits: Limits) -> None:
    """Raise StartRefused when an account with so many sessions may not start another."""
    if limits.max_sessions and running >= limits.max_sessions:
        sessions = "1 session" if running == 1 else f"{running} sessions"
        words = f"you have {sessions} running, which is as many as you may; stop one first"
        raise StartRefused(words, field="name", status=409, reason="quota")


def longest_hours(profile: Profile, plan: Plan) -> float:
    """How long a session may last in all."""
    return min(profile.lifetime.max_hours, plan.hours or profile.lifetime.max_hours)


def _lifetime(request: SessionRequest, profile: Profile, plan: Plan) -> float:
    longest = longest_hours(profile, plan)
    if request.lifetime_hours is None:
        return min(profile.lifetime.default_hours, longest)
    if request.lifetime_hours > longest:
        raise StartRefused(f"can be at most {longest:g} hours here", field="lifetime_hours")
    return request.lifetime_hours


async def _experiment(catalogue: Catalogue, account: Account, experiment_id: str) -> Experiment:
    try:
        return await catalogue.visible(account, experiment_id)
    except UnknownExperiment:
        words = f"there is no experiment {experiment_id} that you may see"
        raise StartRefused(words, field="experiments") from None


async def _datasets(catalogue: Catalogue, request: SessionRequest) -> tuple[Dataset, ...]:
    """The datasets asked for: each must belong to one of the session's experiments.

    An id that several of them have means each of them.
    """
    found: dict[str, list[Dataset]] = {}
    for experiment_id in request.experiments if request.datasets else ():
        for dataset in await catalogue.pick_datasets(experiment_id, request.datasets):
            found.setdefault(dataset.id, []).append(dataset)
    _refuse_missing(request.datasets, found)
    return tuple(dataset for id in request.datasets for dataset in found[id])


def _refuse_missing(asked: Iterable[str], found: Mapping[str, list[Dataset]]) -> None:
    for dataset_id in asked:
        if dataset_id not in found:
            words = f"there is no dataset {shown(dataset_id)} in the chosen experiments"
            raise StartRefused(words, field="datasets")
