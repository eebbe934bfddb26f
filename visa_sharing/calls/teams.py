"""Share a session with the team of one of its experiments, whoever belongs to it."""

from __future__ import annotations

from jupyterhub import orm
from tornado import web

from .. import grants
from ..audit.record import record
from ..database import TEAM, TeamShare
from ..rights import experiments_of
from ..team import follow, unshare
from .callers import Body, PersonHandler
from .members import Role


class WithTeam(Body):
    """As what the team is let in."""

    role: Role


class TeamHandler(PersonHandler):
    """Share with one team, change the role of all of it, or stop."""

    async def put(self, owner, name, experiment):
        spawner = self.owned(owner, name)
        role = self.body(WithTeam).role
        if experiment not in experiments_of(spawner):
            raise web.HTTPError(404, "experiment: it is not in this session")
        row = self._row(spawner, experiment)
        before = row.role if row else ""
        who, address = self.current_user.name, self.address
        if row is None:
            row = TeamShare(spawner_id=spawner.id, experiment=experiment, made_by=who)
            self.db.add(row)
        row.role = role
        if before != role:
            for share, grant in grants.shares_of(self.db, spawner):
                if grant is not None and grant.way == TEAM and grant.by_way_of == experiment:
                    grants.change(self.db, share, role, who=who, address=address)
            names = {"owner": owner, "session": name, "who": who, "role": role}
            details = {"experiment": experiment, "was": before or None}
            record(self.db, "team-shared", **names, address=address, **details)
        self.db.commit()
        # Before the answer, so that whoever asks next finds them in.
        await follow(self.app, spawner)
        self.answer(None)

    async def delete(self, owner, name, experiment):
        spawner = self.owned(owner, name)
        row = self._row(spawner, experiment)
        if row is None:
            raise web.HTTPError(404, "experiment: the session is not shared with its team")
        who = self.current_user.name
        unshare(self.app, spawner, row, who=who, why="the owner stopped it", address=self.address)
        self.db.commit()
        self.answer(None)

    def _row(self, spawner: orm.Spawner, experiment: str) -> TeamShare | None:
        return self.db.query(TeamShare).filter_by(spawner_id=spawner.id, experiment=experiment).first()


HANDLERS = [(r"/api/visa/sharing/([^/]+)/([^/]+)/teams/([^/]+)", TeamHandler)]
