"""Whether somebody may be in a session: what the facility says of them, held against what is in it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakKeyDictionary

from jupyterhub import orm
from jupyterhub.user import User

from visa_catalogue import Catalogue, CatalogueError, UnknownExperiment
from visa_catalogue.access import why_visible
from visa_catalogue.account import Account
from visa_catalogue.model import Experiment
from visa_spawner.kept.state import Kept

from . import accounts

log = logging.getLogger(__name__)

#: Seconds that a catalogue gets to answer before what it said last is believed: an end must not wait for it.
PATIENCE = 0.5


class NotKnown(Exception):
    """The catalogue does not answer, and has not said before."""


class Experiments:
    """Experiments by id, as the catalogue has them now, or had them last while it does not answer."""

    _of: WeakKeyDictionary[Catalogue, Experiments] = WeakKeyDictionary()

    @classmethod
    def of(cls, catalogue: Catalogue) -> Experiments:
        """The one of this catalogue, made at first use."""
        return cls._of.setdefault(catalogue, cls(catalogue))

    def __init__(self, catalogue: Catalogue):
        self._catalogue = catalogue
        self._last: dict[str, Experiment] = {}

    async def get(self, experiment_id: str) -> Experiment | None:
        """One of them, None when the catalogue says there is none; raises NotKnown."""
        try:
            async with asyncio.timeout(PATIENCE):
                found = await self._catalogue.experiment(experiment_id)
        except UnknownExperiment:
            self._last.pop(experiment_id, None)
            return None
        except (TimeoutError, CatalogueError, OSError) as error:
            log.warning("the catalogue does not say what experiment %s is: %r", experiment_id, error)
            if experiment_id not in self._last:
                raise NotKnown(experiment_id) from error
            return self._last[experiment_id]
        self._last[experiment_id] = found
        return found

    def last(self, experiment_id: str) -> Experiment | None:
        """What the catalogue said of one when it was asked last; None when it said nothing."""
        return self._last.get(experiment_id)

    async def hidden_from(self, account: Account, ids: tuple[str, ...]) -> tuple[str, ...]:
        """Which of these the account may not see by itself; raises NotKnown."""
        today = self._catalogue.today()
        hidden = []
        for one in ids:
            experiment = await self.get(one)
            if experiment is None or why_visible(account, experiment, today) is None:
                hidden.append(one)
        return tuple(hidden)


@dataclass(frozen=True)
class Standing:
    """What the facility says of somebody about one session.

    `unvouched`: in words why their account is not good now; it may be again. `hidden`: the session's
    experiments they may not see, `left` those of them that were taken away in this run, and when.
    """

    full_name: str
    unvouched: str = ""
    hidden: tuple[str, ...] = ()
    left: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def why(self) -> str:
        """In words why they have no right to what is in it, or was."""
        return f"may not see {', '.join(self.hidden)}{self.until}"

    @property
    def until(self) -> str:
        """The words that follow on what is not in it any more."""
        if not self.left:
            return ""
        was = ", ".join(
            f"{one} was in this session until {when:%d %B %H:%M} UTC" for one, when in self.left.items()
        )
        return f"; {was}; somebody without a right to it can be let into a new session"


def experiments_of(spawner: orm.Spawner) -> tuple[str, ...]:
    """Ids of the experiments whose data a session has, or may have by now; had, where it does not run."""
    return Kept.read(spawner.state).experiments


async def standing(user: User, spawner: orm.Spawner, experiments: Experiments) -> Standing:
    """How this person stands to this session now; raises NotKnown."""
    known = await accounts.known(user)
    kept = Kept.read(spawner.state)
    hidden = await experiments.hidden_from(known.account, kept.within_reach)
    left = {one: kept.taken[one] for one in hidden if one not in kept.experiments}
    return Standing(known.account.name or user.name, known.refused, hidden, left)
