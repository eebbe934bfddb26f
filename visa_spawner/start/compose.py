"""From what was granted to the plan a backend is given: who, what, with which environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from visa_catalogue.account import Account
from visa_catalogue.model import Experiment
from visa_session.contract import (
    AUTHORITY_VARIABLE,
    INFO_VARIABLE,
    TRUSTED_VARIABLE,
    DatasetInfo,
    ExperimentInfo,
    SessionInfo,
)

from ..asked.authorise import Accepted
from ..data.binds import short_ways
from ..inside.authority import Authority
from ..session import Batch, Bind, Person, SessionPlan, StartRefused

#: The variables of JupyterHub's that a session needs; no other one of the hub's ever enters a session.
HUB_VARIABLES = frozenset(
    {
        "JUPYTERHUB_ACTIVITY_URL",
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_API_URL",
        "JUPYTERHUB_BASE_URL",
        "JUPYTERHUB_CLIENT_ID",
        "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED",
        "JUPYTERHUB_COOKIE_OPTIONS",
        "JUPYTERHUB_HOST",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
        "JUPYTERHUB_OAUTH_CALLBACK_URL",
        "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES",
        "JUPYTERHUB_PUBLIC_HUB_URL",
        "JUPYTERHUB_PUBLIC_URL",
        "JUPYTERHUB_SERVER_NAME",
        "JUPYTERHUB_SERVICE_PREFIX",
        "JUPYTERHUB_SERVICE_URL",
        "JUPYTERHUB_USER",
    }
)

LANGUAGE = "C.UTF-8"

_UNSAFE, _LONGEST_ACCOUNT = re.compile(r"[^a-z0-9_.-]+"), 63


def person(account: Account) -> Person:
    """Whom the session runs as; raises StartRefused when the account lacks what that takes."""
    if account.uid is None or account.gid is None or not account.home:
        raise StartRefused("your account has no uid, gid or home directory here", field="account", status=403)
    if min(account.uid, account.gid, *account.gids) <= 0:
        raise StartRefused("your account may not run anything here", field="account", status=403)
    return Person(account.username, account.uid, account.gid, tuple(account.gids), account.home)


def session_info(
    accepted: Accepted,
    *,
    owner: str,
    name: str,
    title: str,
    ends: datetime,
    facility: str,
    portal_url: str,
    passport_in_processed: bool = False,
    stream: bool = True,
) -> SessionInfo:
    """What the session is told about itself; the GPUs are the backend's to add."""
    return SessionInfo(
        owner=owner,
        name=name,
        title=title,
        facility=facility,
        portal_url=portal_url,
        passport_in_processed=passport_in_processed,
        stream_rate=accepted.profile.stream_rate if stream else 0,
        profile=accepted.profile.name,
        profile_title=accepted.profile.title,
        profile_help=accepted.profile.help,
        plan=accepted.plan_name,
        plan_title=accepted.plan.title,
        applications=tuple(accepted.profile.applications),
        interface=accepted.request.interface,
        screen=accepted.request.screen,
        keyboard=accepted.request.keyboard,
        ends=ends.isoformat(timespec="seconds"),
        cpus=accepted.plan.cpus,
        memory=accepted.plan.memory,
        experiments=tuple(experiment_info(accepted, one) for one in accepted.experiments),
    )


def experiment_info(accepted: Accepted, experiment: Experiment) -> ExperimentInfo:
    """What the session is told about one of its experiments."""
    return ExperimentInfo(
        id=experiment.id,
        title=experiment.title,
        instrument=experiment.instrument,
        technique=experiment.technique,
        raw=experiment.raw,
        processed=experiment.processed or "",
        datasets=tuple(
            DatasetInfo(dataset.id, dataset.name, dataset.path.removeprefix(f"{experiment.raw}/"))
            for dataset in accepted.datasets
            if dataset.experiment == experiment.id
        ),
    )


def session_plan(
    accepted: Accepted,
    who: Person,
    info: SessionInfo,
    binds: Sequence[Bind],
    hub_environment: Mapping[str, str],
    site_environment: Mapping[str, str],
    command: Sequence[str],
    authority: Authority | None = None,
) -> SessionPlan:
    """All that a backend needs. `site_environment` is what the operator named, by name, on purpose.

    With an `authority` the session serves TLS.
    """
    environment = {name: value for name, value in hub_environment.items() if name in HUB_VARIABLES}
    if trusted := os.environ.get(TRUSTED_VARIABLE):
        environment[TRUSTED_VARIABLE] = trusted
    environment |= {"LANG": LANGUAGE} | dict(site_environment)
    if authority:
        environment[AUTHORITY_VARIABLE] = authority.pem
    environment |= {
        "HOME": who.home,
        "USER": who.username,
        "LOGNAME": who.username,
        INFO_VARIABLE: info.to_json(),
    }
    return SessionPlan(
        key=info.key,
        person=who,
        image=accepted.profile.image,
        resources=accepted.plan.resources,
        binds=tuple(binds),
        short_ways=short_ways(accepted.experiments, accepted.datasets),
        environment=environment,
        labels={"visa.session": info.key, "visa.profile": info.profile, "visa.plan": info.plan},
        command=tuple(command),
        batch=batch(accepted),
        digest=accepted.request.image or "",
        disk=accepted.plan.disk or 0,
    )


def batch(accepted: Accepted) -> Batch:
    """What a session on a cluster asks for; the job may last as long as the session.

    Raises StartRefused when the plan's account is that of an experiment, and none gives one.
    """
    plan = accepted.plan
    return Batch(_cluster_account(accepted), plan.qos, plan.reservation, plan.tasks, accepted.lifetime_hours)


def _cluster_account(accepted: Accepted) -> str:
    """The account that the plan's rule gives: a name of lower-case letters, digits and `_-.`."""
    rule = accepted.plan.account
    if not rule.startswith("{"):
        return rule
    what = rule.strip("{}")
    if not accepted.experiments:
        words = f"choose an experiment: this plan is charged to its {what}"
        raise StartRefused(words, field="experiments")
    first = accepted.experiments[0]
    account = _UNSAFE.sub("-", getattr(first, what).lower()).strip("-.")
    if not account or len(account) > _LONGEST_ACCOUNT:
        words = f"{first.id} has no {what} that this plan could be charged to"
        raise StartRefused(words, field="experiments")
    return account
