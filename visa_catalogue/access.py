"""Who may see which experiment. This is the one place that says so."""

from __future__ import annotations

from datetime import date

from .account import Account, Role
from .model import Experiment

TEAM = "team"
LOCAL_CONTACT = "local contact"
INSTRUMENT_SCIENTIST = "instrument scientist"
ADMINISTRATOR = "administrator"
OPEN_DATA = "open data"

#: Reasons that make an experiment somebody's own work; the others only let them look at it.
OWN_REASONS = frozenset({TEAM, LOCAL_CONTACT, INSTRUMENT_SCIENTIST})


def is_open(experiment: Experiment, today: date) -> bool:
    """Whether everyone may see the data: from the open date on, that day included."""
    return experiment.open_date is not None and today >= experiment.open_date


def why_visible(account: Account, experiment: Experiment, today: date) -> str | None:
    """Why this account may see this experiment, the closest reason first; None when it may not.

    A team is what the catalogue lists by account name, or what the account's own groups say. An
    instrument scientist needs both the role and the instrument: an identity provider that lists the
    instruments somebody uses does not thereby open all the data of those.
    """
    if account.username in experiment.team or experiment.id in account.teams:
        return TEAM
    if account.username in experiment.local_contacts:
        return LOCAL_CONTACT
    if experiment.instrument in account.instruments and Role.INSTRUMENT_SCIENTIST in account.roles:
        return INSTRUMENT_SCIENTIST
    if Role.ADMINISTRATOR in account.roles:
        return ADMINISTRATOR
    if is_open(experiment, today):
        return OPEN_DATA
    return None
