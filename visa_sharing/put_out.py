"""Who was put out of a session since data were added that they may not see: by the audit log's own lines."""

from __future__ import annotations

from collections.abc import Collection

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from visa_spawner.kept.state import Kept

from . import accounts
from .database import Event

#: How the reason of such an end reads in the audit log, after what they may not see.
WHICH_WAS_ADDED = ", which was added"


def why(row: orm.Spawner, refused: str, hidden: Collection[str]) -> str:
    """The reason of an end, by what is being added to the session at the moment."""
    adding = Kept.read(row.state).adding
    return f"{refused}{WHICH_WAS_ADDED}" if adding is not None and adding.id in hidden else refused


async def put_out(app: JupyterHub, row: orm.Spawner, members: set[str]) -> list[dict[str, str]]:
    """`{"name", "full_name"}` of each in this run, the first first; not of those who are `members` again."""
    kept = Kept.read(row.state)
    lines = (
        app.db.query(Event.whom, Event.details)
        .filter_by(owner=row.user.name, session=row.name, what="member-ended", who="")
        .filter(Event.at >= kept.started)
        .order_by(Event.id)
        if kept.started
        else ()
    )
    names = {whom: None for whom, details in lines if details.get("why", "").endswith(WHICH_WAS_ADDED)}
    found = []
    for name in (name for name in names if name not in members):
        user = orm.User.find(app.db, name)
        full_name = await accounts.full_name(app.users[user]) if user else name
        found.append({"name": name, "full_name": full_name})
    return found
