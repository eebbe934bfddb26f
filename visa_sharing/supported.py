"""Sessions as staff and administrators see them: how they stand, never what is in them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import asdict, dataclass
from typing import TypeVar

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import joinedload

from visa_catalogue.model import Experiment
from visa_spawner.api import report
from visa_spawner.kept.state import Kept
from visa_spawner.session import State
from visa_spawner.site import VisaSite

from . import accounts, grants, support, table
from .database import SUPPORT, Grant, Request
from .loglines import harmless
from .rights import experiments_of
from .roles import VIEWER, role_of
from .staff import Experimental, Staff

log = logging.getLogger(__name__)

#: Rows looked at before others have their turn.
LOOK = 50
#: Lines of a session's log.
LINES = 40
#: Seconds that a backend gets to tell about one session.
PATIENCE = 5

T = TypeVar("T")


@dataclass(frozen=True)
class Sought:
    """What to look for; empty parts narrow nothing down.

    Every word of `text` must occur in the session's id (`OWNER/NAME`), its title, its owner's name, its
    experiments, instruments, state or node.
    """

    text: str = ""
    state: str = ""
    instrument: str = ""
    node: str = ""
    limit: int = 50


class Sessions:
    """One look at the hub's sessions, on behalf of one person."""

    def __init__(self, app: JupyterHub, person: Staff):
        self._app, self._person = app, person
        self.experimental = Experimental(app)

    async def search(self, sought: Sought, everybody: bool = False) -> tuple[list[dict], bool]:
        """Those that this person may help with, or everybody's, the running ones first, then the latest.

        Also whether there are more than `limit`.
        """
        db, found = self._app.db, []
        order = (orm.Spawner.server_id.is_(None), orm.Spawner.last_activity.desc(), orm.Spawner.id)
        ids = [row.id for row in db.query(orm.Spawner.id).filter(orm.Spawner.name != "").order_by(*order)]
        for begin in range(0, len(ids), LOOK):
            some = ids[begin : begin + LOOK]
            rows = (
                db.query(orm.Spawner).options(joinedload(orm.Spawner.user)).filter(orm.Spawner.id.in_(some))
            )
            for row in sorted(rows.all(), key=lambda row: some.index(row.id)):
                one = await self._one(row, sought, everybody)
                if one is None:
                    continue
                if len(found) == sought.limit:
                    return found, True
                found.append(one)
            await asyncio.sleep(0)
        return found, False

    async def _one(self, row: orm.Spawner, sought: Sought, everybody: bool) -> dict | None:
        experiments = await self.experimental.of_session(row)
        if row not in self._app.db or row.user is None:
            return None
        if not everybody and not self._person.roles_for(row.user.name, experiments):
            return None
        if sought.instrument and all(one.instrument != sought.instrument for one in experiments):
            return None
        if not await self._matches(row, experiments, sought):
            return None
        one = self._standing(row, experiments)
        one["owner_full_name"] = await accounts.full_name(self._app.users[row.user])
        return one | {"members": await table.told_members(self._app, row)}

    async def _matches(self, row: orm.Spawner, experiments: list[Experiment], sought: Sought) -> bool:
        """Whether it is looked for; the hub's own part for an owner who is away is not made for that."""
        kept = Kept.read(row.state)
        state, node = str(kept.outcome.state) if kept.outcome else State.STOPPED, ""
        if row.server_id is not None or row.user in self._app.users:
            owner = self._app.users[row.user]
            state, node = report.session(owner, row, with_log=False)["state"], _node(owner, row.name)
        if sought.state not in ("", state) or sought.node not in ("", node):
            return False
        profile = VisaSite.of(self._app.config).profiles.get(kept.options.get("profile", ""))
        parts = [f"{row.user.name}/{row.name}", row.display_name or "", kept.profile_title, state, node]
        parts += [profile.image if profile else "", *experiments_of(row)]
        parts += [text for one in experiments for text in (one.instrument, one.title)]
        hay = " ".join(parts).casefold()
        left = [word for word in sought.text.casefold().split() if word not in hay]
        if not left:
            return True
        hay += " " + (await accounts.name_of(self._app, row.user)).casefold()
        return all(word in hay for word in left)

    def _standing(self, row: orm.Spawner, experiments: list[Experiment]) -> dict:
        owner = self._app.users[row.user]
        one = report.session(owner, row, with_log=False)
        profile = VisaSite.of(self._app.config).profiles.get(one["profile"])
        why = self.why_not_ask(row, experiments)
        return one | {
            "instruments": sorted({experiment.instrument for experiment in experiments}),
            "node": _node(owner, row.name),
            "image": profile.image if profile else "",
            "may_ask": not why,
            "why": why,
        }

    def why_not_ask(self, row: orm.Spawner, experiments: list[Experiment]) -> str:
        """Why this person cannot ask to join now, in words; "" when they can."""
        db, name = self._app.db, self._person.name
        if row.user.name == name:
            return "This is your own session."
        if not self._person.roles_for(row.user.name, experiments):
            return "Others of the staff look after this session."
        if not support.runs(row):
            return "The session does not run."
        person = orm.User.find(db, name)
        share = grants.share_of(db, row, person) if person else None
        grant = db.get(Grant, share.id) if share else None
        if share is not None and (grant is None or grant.way != SUPPORT or role_of(share) != VIEWER):
            return "You are in already."
        waiting = db.query(Request.id).filter_by(
            spawner_id=row.id, kind=support.JOIN, state=support.OPEN, staff=name
        )
        return "You have asked, and the owner has not answered yet." if waiting.first() else ""

    async def closely(self, row: orm.Spawner) -> dict | None:
        """One session with the end of its log and what it takes now; None for whoever may not help there."""
        one = await self._one(row, Sought(), everybody=False)
        if one is None:
            return None
        owner = self._app.users[row.user]
        child, usage = _child(owner, row.name), None
        if child is not None and one["state"] in ("starting", "running", "suspended"):
            lines, usage = await asyncio.gather(
                _in_time(child.last_lines(LINES), []), _in_time(child.usage(), None)
            )
        else:
            lines = report.session(owner, row, with_log=True)["log"]
        takes = asdict(usage) | {"cpu_limit": self._cpus(one)} if usage else None
        return one | {"log": harmless(lines), "usage": takes}

    def _cpus(self, one: dict) -> float | None:
        """The cores that its plan has, as long as there is such a plan."""
        profile = VisaSite.of(self._app.config).profiles.get(one["profile"])
        plan = profile.plans.get(one["plan"]) if profile else None
        return plan.cpus if plan else None


async def _in_time(asked: Awaitable[T], otherwise: T) -> T:
    """What a backend answers; `otherwise` when it fails or takes too long: the rest is worth showing."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await asked
    except TimeoutError:
        return otherwise
    except Exception:
        log.exception("a backend does not say what a session says or takes")
        return otherwise


def _child(owner, name: str):
    """The backend's part of a session that is loaded; None where there is none."""
    spawner = owner.spawners.get(name)
    return getattr(spawner, "child_spawner", None)


def _node(owner, name: str) -> str:
    return getattr(_child(owner, name), "node_name", "")
