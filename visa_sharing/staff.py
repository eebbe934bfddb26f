"""Who of the staff may offer help in which session, by which of their roles."""

from __future__ import annotations

from dataclasses import dataclass

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User

from visa_catalogue.account import Account, Role
from visa_catalogue.model import Experiment
from visa_spawner.site import VisaSite

from . import accounts
from .rights import Experiments, NotKnown, experiments_of
from .settings import VisaSharing

#: As a staff role: no role of the facility's, but what the catalogue says of one experiment.
LOCAL_CONTACT = "local-contact"


@dataclass(frozen=True)
class Staff:
    """Somebody who may offer help somewhere.

    `everywhere` are their roles that reach all sessions; `instruments` those they are an instrument
    scientist of. Nobody is staff whom the facility does not vouch for (`good`) at this moment.
    """

    account: Account
    good: bool = True
    everywhere: tuple[str, ...] = ()
    instruments: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.account.username

    @property
    def full_name(self) -> str:
        return self.account.name or self.account.username

    def roles_for(self, owner: str, experiments: list[Experiment]) -> tuple[str, ...]:
        """By which roles they may help in a session of `owner` with these experiments; never in their own."""
        if owner == self.name or not self.good:
            return ()
        found = list(self.everywhere)
        if any(experiment.instrument in self.instruments for experiment in experiments):
            found.append(str(Role.INSTRUMENT_SCIENTIST))
        if any(self.name in experiment.local_contacts for experiment in experiments):
            found.append(LOCAL_CONTACT)
        return tuple(dict.fromkeys(found))


async def staff(user: User, settings: VisaSharing) -> Staff:
    """What this person may do as staff; local contacts, who need no role, reach their experiments as well."""
    known = await accounts.known(user)
    account = known.account
    if known.refused:
        return Staff(account, good=False)
    everywhere = tuple(role for role in settings.helpdesk_roles if role in account.roles)
    instruments = account.instruments if Role.INSTRUMENT_SCIENTIST in account.roles else frozenset()
    return Staff(account, everywhere=everywhere, instruments=instruments)


class Experimental:
    """The experiments of sessions, each asked for once: for one call that looks at many sessions."""

    def __init__(self, app: JupyterHub):
        self._experiments = Experiments.of(VisaSite.of(app.config).catalogue)
        self._known: dict[str, Experiment | None] = {}

    async def of(self, ids: tuple[str, ...]) -> list[Experiment]:
        """Those that the catalogue knows; what it cannot tell now gives nobody a reach."""
        found = []
        for one in ids:
            if one not in self._known:
                try:
                    self._known[one] = await self._experiments.get(one)
                except NotKnown:
                    self._known[one] = None
            if self._known[one] is not None:
                found.append(self._known[one])
        return found

    async def of_session(self, spawner: orm.Spawner) -> list[Experiment]:
        return await self.of(experiments_of(spawner))


async def roles_for(app: JupyterHub, user: User, spawner: orm.Spawner) -> tuple[str, ...]:
    """By which roles this person may help in this session now; none for whoever may not."""
    someone = await staff(user, VisaSharing.of(app.config))
    return someone.roles_for(spawner.user.name, await Experimental(app).of_session(spawner))
