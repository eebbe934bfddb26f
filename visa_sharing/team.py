"""A session that is shared with an experiment's team follows the team."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from visa_catalogue.account import TEAM_PREFIX
from visa_spawner.site import VisaSite

from . import grants
from .audit.record import record
from .database import TEAM, NotAgain, TeamShare
from .rights import Experiments, NotKnown, experiments_of, standing


async def people(app: JupyterHub, experiment_id: str) -> dict[str, orm.User | None]:
    """Everybody on an experiment's team by account name, None for who has never logged in.

    The team is who is in the hub's group, whoever put them there, and who the catalogue lists. Raises
    NotKnown when the catalogue does not answer.
    """
    experiment = await Experiments.of(VisaSite.of(app.config).catalogue).get(experiment_id)
    group = orm.Group.find(app.db, TEAM_PREFIX + experiment_id)
    found: dict[str, orm.User | None] = dict.fromkeys(experiment.team if experiment else ())
    listed = app.db.query(orm.User).filter(orm.User.name.in_(list(found))).all() if found else []
    for user in [*listed, *(group.users if group else ())]:
        found[user.name] = user
    return dict(sorted(found.items()))


def team_shares(app: JupyterHub, spawner: orm.Spawner) -> list[TeamShare]:
    """With which teams a session is shared."""
    return app.db.query(TeamShare).filter_by(spawner_id=spawner.id).order_by(TeamShare.id).all()


async def follow(app: JupyterHub, spawner: orm.Spawner) -> None:
    """Let in who has joined the teams this session is shared with, end who has left; committed.

    A catalogue that does not answer changes nothing.
    """
    try:
        teams = {row.experiment: await people(app, row.experiment) for row in team_shares(app, spawner)}
        _unshare_what_is_not_here(app, spawner)
        _end_leavers(app, spawner, teams)
        for row in team_shares(app, spawner):
            if row.experiment in teams:
                await _let_in(app, spawner, row, teams[row.experiment])
    except NotKnown:
        return


def _unshare_what_is_not_here(app: JupyterHub, spawner: orm.Spawner) -> None:
    """A session that was started anew may hold other experiments than before."""
    for row in team_shares(app, spawner):
        if row.experiment not in experiments_of(spawner):
            unshare(app, spawner, row, who="", why="the experiment is not in the session any more")
    app.db.commit()


def unshare(
    app: JupyterHub,
    spawner: orm.Spawner,
    row: TeamShare,
    *,
    who: str,
    why: str,
    address: str = "",
) -> None:
    """Stop sharing with a team: who is in by way of it is out. Added, not committed."""
    for share, grant in grants.shares_of(app.db, spawner):
        if grant is not None and grant.way == TEAM and grant.by_way_of == row.experiment:
            grants.end(app.db, share, who=who, why=why, address=address)
    names = {"owner": spawner.user.name, "session": spawner.name, "who": who, "role": row.role}
    record(app.db, "team-unshared", **names, address=address, experiment=row.experiment, why=why)
    app.db.delete(row)


def _end_leavers(app: JupyterHub, spawner: orm.Spawner, teams: dict[str, dict]) -> None:
    for share, grant in grants.shares_of(app.db, spawner):
        if grant is None or grant.way != TEAM:
            continue
        if share.user.name not in teams.get(grant.by_way_of, {}):
            grants.end(app.db, share, who="", why=f"left the team of {grant.by_way_of}")
    app.db.commit()


async def _let_in(app: JupyterHub, spawner: orm.Spawner, row: TeamShare, team: dict) -> None:
    experiments = Experiments.of(VisaSite.of(app.config).catalogue)
    for user in team.values():
        if (
            user is None
            or user.id == spawner.user_id
            or user not in app.db
            or not _may_come(app, spawner, user)
        ):
            continue
        stands = await standing(app.users[user], spawner, experiments)
        # It may all have changed while that was asked.
        if stands.hidden or stands.unvouched or row not in app.db or not _may_come(app, spawner, user):
            continue
        grants.give(app.db, spawner, user, row.role, way=TEAM, by_way_of=row.experiment, who=row.made_by)
        app.db.commit()


def _may_come(app: JupyterHub, spawner: orm.Spawner, user: orm.User) -> bool:
    """Neither in already, by whatever way, nor ended before."""
    if grants.share_of(app.db, spawner, user) is not None:
        return False
    return app.db.get(NotAgain, (spawner.id, user.id)) is None
