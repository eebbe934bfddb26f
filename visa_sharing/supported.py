"""Sessions as staff and administrators see them: how they stand, never what is in them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import joinedload

from visa_catalogue.model import Experiment
from visa_spawner import report
from visa_spawner.site import VisaSite

from . import accounts, grants, support, table
from .database import SUPPORT, Grant, Request
from .loglines import harmless
from .roles import VIEWER, role_of
from .staff import Experimental, Staff

#: Rows looked at before others have their turn.
LOOK = 50
#: Lines of a session's log.
LINES = 40


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
        one = self._standing(row, experiments)
        if sought.state not in ("", one["state"]) or sought.node not in ("", one["node"]):
            return None
        one["owner_full_name"] = await accounts.full_name(self._app.users[row.user])
        if not _matches(one, experiments, sought.text):
            return None
        return one | {"members": await table.told_members(self._app, row)}

    def _standing(self, row: orm.Spawner, experiments: list[Experiment]) -> dict:
        owner = self._app.users[row.user]
        one = report.session(owner, row, with_log=False)
        profile = VisaSite.of(self._app.config).profiles.get(one["profile"])
        why = self.why_not_ask(row, experiments)
        return one | {
            "instruments": sorted({experiment.instrument for experiment in experiments}),
            "node": getattr(_child(owner, row.name), "node_name", ""),
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
        if child is not None and one["state"] in ("starting", "running"):
            lines, usage = await asyncio.gather(child.last_lines(LINES), child.usage())
        else:
            lines = report.session(owner, row, with_log=True)["log"]
        return one | {"log": harmless(lines), "usage": asdict(usage) if usage else None}


def _child(owner, name: str):
    """The backend's part of a session that is loaded; None where there is none."""
    spawner = owner.spawners.get(name)
    return getattr(spawner, "child_spawner", None)


def _matches(one: dict, experiments: list[Experiment], text: str) -> bool:
    parts = [one[key] for key in ("title", "owner_full_name", "state", "node", "profile_title", "image")]
    parts += [f"{one['owner']}/{one['name']}", *one["experiments"], *one["instruments"]]
    parts += [experiment.title for experiment in experiments]
    hay = " ".join(parts).casefold()
    return all(word in hay for word in text.casefold().split())
