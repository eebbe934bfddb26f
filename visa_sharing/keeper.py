"""The hub's one task for sharing: after each change it settles the sessions concerned, and tells them.

Settling a session ends what is over or has lost its ground, follows its teams, and writes the table that
comes of it to the session's line.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from datetime import datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.exc import SQLAlchemyError

from visa_catalogue.account import TEAM_PREFIX
from visa_spawner.site import VisaSite

from . import grants, plain, put_out, support, table, team
from .audit.record import record
from .changes import Concerned, changes, touched
from .database import Event, Grant, Request, TeamShare, now
from .line import lines
from .notices import Clock
from .refresh import refresh_present
from .rights import Experiments
from .roles import role_of
from .settings import VisaSharing

log = logging.getLogger(__name__)

#: Seconds after which something that failed is tried again.
AGAIN = 2


class Keeper:
    """Settles sessions, each by itself, so that one that takes long holds up no other."""

    def __init__(self, settings: VisaSharing):
        self._settings = settings
        self._app = JupyterHub.instance()
        self._tasks: dict[int, asyncio.Task] = {}
        self._again: set[int] = set()
        self._due: dict[int, asyncio.TimerHandle] = {}
        #: Sessions of their owners alone that wait to be told.
        self._plain: dict[int, None] = {}

    async def run(self) -> None:
        """For as long as the hub runs, from when it has loaded its sessions."""
        while self._app.http_server is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        Clock(self._app).begin()
        refreshing = asyncio.create_task(self._refresh())
        try:
            while True:
                # What is new goes before the many that nobody but their owner has to do with.
                what = changes().taken() if self._plain else await changes().wait()
                try:
                    plain.others().follow(self._app.db, what.involved)
                    found, others = self._sessions(what), plain.others()
                except Exception:
                    log.exception("which sessions a change concerns is not known: all are looked at")
                    found = others = set(self._shared()) | set(lines().sessions)
                for one in found:
                    if one in others or one in self._tasks:
                        self._plain.pop(one, None)
                        self._settle_soon(one)
                    else:
                        self._plain[one] = None
                await self._tell_some()
        finally:
            refreshing.cancel()

    async def _tell_some(self) -> None:
        """Tell some of the sessions that wait for it and need no settling."""
        some = list(itertools.islice(self._plain, plain.AT_ONCE))
        for one in some:
            del self._plain[one]
        try:
            await plain.tell(self._app, some)
        except Exception as error:
            log.exception("some sessions could not be told; each is settled by itself")
            if isinstance(error, SQLAlchemyError):
                self._app.db.rollback()
            for one in some:
                self._settle_soon(one)

    async def _refresh(self) -> None:
        """What no commit tells: an account that was blocked, a catalogue that has other teams now."""
        while True:
            try:
                # The first time: what ended, was blocked or was left while no hub ran.
                await self._look_at_all()
                await asyncio.sleep(self._settings.refresh_seconds)
                await refresh_present(self._app)
            except Exception:
                log.exception("refreshing the members of sessions failed; it is tried again")
                await asyncio.sleep(AGAIN)

    async def _look_at_all(self) -> None:
        """Settle every session that is shared, one after another and half of the time at most.

        What happens meanwhile must not wait for all of them.
        """
        for one in self._shared():
            begun = time.monotonic()
            self._settle_soon(one)
            await asyncio.wait([self._tasks[one]])
            await asyncio.sleep(time.monotonic() - begun)

    # Whom it concerns --------------------------------------------------------------------------------
    def _shared(self) -> set[int]:
        """Sessions that somebody but their owner is let into, or waits to be."""
        db = self._app.db
        found = {row.spawner_id for row in db.query(orm.Share.spawner_id).distinct()}
        found |= {row.spawner_id for row in db.query(TeamShare.spawner_id).distinct()}
        found |= {row.spawner_id for row in db.query(Request.spawner_id).filter_by(state="open")}
        return found - {None}

    def _sessions(self, what: Concerned) -> set[int]:
        """The sessions that a change concerns."""
        db = self._app.db
        found = set(what.sessions)
        if what.everything:
            found |= set(lines().sessions)
        if what.people:
            shares = db.query(orm.Share.spawner_id).filter(orm.Share.user_id.in_(what.people))
            found |= {row.spawner_id for row in shares}
        if what.joined:
            found |= self._shared_with_teams_of(what.joined)
        if what.owners:
            own = db.query(orm.Spawner.id).join(orm.User).filter(orm.User.name.in_(what.owners))
            found |= {row.id for row in own}
        return found

    def _shared_with_teams_of(self, people: set[int]) -> set[int]:
        """Sessions shared with a team that one of these people may be on."""
        db, experiments = self._app.db, Experiments.of(VisaSite.of(self._app.config).catalogue)
        users = db.query(orm.User).filter(orm.User.id.in_(people)).all()
        names = {user.name for user in users}
        groups = {group.name for user in users for group in user.groups}
        found = set()
        for row in db.query(TeamShare.spawner_id, TeamShare.experiment):
            listed = experiments.last(row.experiment)
            by_group = TEAM_PREFIX + row.experiment in groups
            if by_group or listed is None or not names.isdisjoint(listed.team):
                found.add(row.spawner_id)
        return found

    # One session -------------------------------------------------------------------------------------
    def _settle_soon(self, spawner_id: int) -> None:
        if spawner_id in self._tasks:
            self._again.add(spawner_id)
        else:
            self._tasks[spawner_id] = asyncio.create_task(self._settle(spawner_id))

    async def settled(self, spawner_id: int) -> None:
        """Settle a session by what is committed now, and return when it is and has been told."""
        self._settle_soon(spawner_id)
        while task := self._tasks.get(spawner_id):
            await asyncio.wait([task])

    async def _settle(self, spawner_id: int) -> None:
        try:
            while True:
                self._again.discard(spawner_id)
                await self._settle_once(spawner_id)
                if spawner_id not in self._again:
                    break
        except Exception as error:
            # A session that cannot be told the truth must not go on believing what it was told before.
            log.exception("the members of session %s could not be settled; it is tried again", spawner_id)
            if isinstance(error, SQLAlchemyError):
                self._app.db.rollback()
            for line in lines().of(spawner_id):
                line.close()
            self._at(spawner_id, AGAIN)
        finally:
            self._tasks.pop(spawner_id, None)
            if spawner_id in self._again:
                self._settle_soon(spawner_id)

    async def _settle_once(self, spawner_id: int) -> None:
        app = self._app
        row = app.db.get(orm.Spawner, spawner_id)
        if row is None or not row.name or row.user is None:
            for line in lines().of(spawner_id):
                line.close()
            return
        due = support.settle(app.db, row)
        await team.follow(app, row)
        await end_what_is_over(app, row)
        if row not in app.db:
            return
        self._at_the_next(row, due)
        await tell(app, row)

    def _at_the_next(self, row: orm.Spawner, due: datetime | None) -> None:
        ends = [grant.until for _, grant in grants.shares_of(self._app.db, row) if grant and grant.until]
        ends += [due] if due else []
        if ends:
            self._at(row.id, (min(ends) - now()).total_seconds() + 0.01)

    def _at(self, spawner_id: int, seconds: float) -> None:
        """Settle a session again after so many seconds; the last word counts."""
        if spawner_id in self._due:
            self._due[spawner_id].cancel()

        def again():
            self._due.pop(spawner_id, None)
            touched([spawner_id])

        # A timer of the loop is good for a day at most; longer is looked at once more then.
        seconds = min(max(seconds, 0.01), 86400)
        self._due[spawner_id] = asyncio.get_running_loop().call_later(seconds, again)


async def end_what_is_over(app: JupyterHub, row: orm.Spawner) -> None:
    """Take away the shares of those who have no right to them any more; committed.

    The share itself, so that the hub refuses them as well. One whose account is not good at the moment
    stays, and opens nothing until it is.
    """
    settings = VisaSharing.of(app.config)
    for member in await table.members(app, row):
        if member.share not in app.db or member.stands is None:
            continue
        # Judged again by what stands now, since others may have acted while the last ones were asked about.
        grant = app.db.get(Grant, member.share.id)
        role = role_of(member.share)
        now_is = table.judge(member.share, grant, member.name, role, member.stands, settings)
        if now_is.lost:
            why = put_out.why(row, now_is.refused, member.stands.hidden)
            grants.end(app.db, member.share, who="", why=why)
            continue
        if now_is.role != role:
            grants.change(app.db, member.share, now_is.role, who="")
        _tell_refusal(app, row, now_is)
    app.db.commit()


def _tell_refusal(app: JupyterHub, row: orm.Spawner, member: table.Member) -> None:
    """A line when a member is refused for a while, and one when that is over."""
    last = (
        app.db.query(Event.what, Event.who)
        .filter_by(owner=row.user.name, session=row.name, whom=member.name)
        .filter(Event.what.startswith("member-"))
        .order_by(Event.id.desc())
        .first()
    )
    # With a name it was the owner who was refused, when they tried to let this person in.
    was_refused = last is not None and last.what == "member-refused" and not last.who
    if bool(member.refused) == was_refused:
        return
    what, why = ("member-refused", member.refused) if member.refused else ("member-changed", "good again")
    names = {"owner": row.user.name, "session": row.name, "whom": member.name, "role": member.role}
    record(app.db, what, **names, why=why)


async def tell(app: JupyterHub, row: orm.Spawner) -> None:
    """Write the session's table to its lines; close those of a session that is not any more."""
    if plain.listening_lines(app, row.id, row):
        plain.write(lines().of(row.id), await table.snapshot(app, row))
