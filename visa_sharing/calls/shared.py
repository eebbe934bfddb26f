"""What is shared: one of one's own sessions in full, and those of others that one is let into."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User

from visa_spawner.api import report

from .. import accounts, grants, help, links, support, table, team
from ..database import Link
from ..rights import Experiments, NotKnown, experiments_of
from .callers import PersonHandler


class SharingHandler(PersonHandler):
    """All that its owner may know of who is in a session, and of the ways in."""

    async def get(self, owner, name):
        spawner = self.owned(owner, name)
        user = self.person()
        session = report.session(user, spawner, with_log=False)
        made = self.db.query(Link).filter_by(spawner_id=spawner.id).order_by(Link.id).all()
        self.answer(
            {name: session[name] for name in ("owner", "name", "title", "experiments", "state")}
            | {
                "members": await table.told_members(self.app, spawner),
                "links": [links.told(link) for link in made if not link.revoked],
                "teams": [await self._team(spawner, one) for one in experiments_of(spawner)],
                "locked": table.is_locked(self.app, spawner),
                "away": table.away(self.app, spawner),
                "requests": await support.open_requests(self.app, spawner),
                "help": await help.open_help(self.app, spawner),
                "outsiders_may_watch": self.sharing.outsiders_may_watch,
            }
        )

    async def _team(self, spawner: orm.Spawner, experiment_id: str) -> dict:
        """The people on one of the session's experiments, its owner left out."""
        shared = {row.experiment: row.role for row in team.team_shares(self.app, spawner)}
        try:
            experiment = await Experiments.of(self.catalogue).get(experiment_id)
            people = await team.people(self.app, experiment_id)
        except NotKnown:
            experiment, people = None, {}
        told = []
        for name, user in people.items():
            if name != spawner.user.name:
                full_name = await accounts.full_name(self.app.users[user]) if user else ""
                told.append({"name": name, "full_name": full_name, "known": user is not None})
        return {
            "experiment": experiment_id,
            "title": experiment.title if experiment else "",
            "role": shared.get(experiment_id, ""),
            "people": told,
        }


class SharedHandler(PersonHandler):
    """The sessions of others that one is let into."""

    async def get(self):
        self.answer({"sessions": await shared_with(self.app, self.person())})


async def shared_with(app: JupyterHub, user: User) -> list[dict]:
    """The sessions of others that somebody is let into now, as `Shared` of docs/developers/sharing.md."""
    found = []
    for share in app.db.query(orm.Share).filter_by(user_id=user.id).order_by(orm.Share.id).all():
        spawner = share.spawner
        mine = [one for one in await table.members(app, spawner) if one.share is share]
        if mine and not mine[0].refused:
            found.append(await _shared(app, spawner, mine[0]))
    return found


async def _shared(app: JupyterHub, spawner: orm.Spawner, member: table.Member) -> dict:
    owner = app.users[spawner.user]
    session = report.session(owner, spawner, with_log=False)
    names = ("owner", "name", "title", "experiments", "state", "words", "ready", "url")
    return {name: session[name] for name in names} | {
        "owner_full_name": await accounts.full_name(owner),
        "role": member.role,
        "support": member.support,
        "since": grants.iso(member.since),
        "until": grants.iso(member.until),
    }


HANDLERS = [
    (r"/api/visa/sharing/([^/]+)/([^/]+)", SharingHandler),
    ("/api/visa/shared", SharedHandler),
]
