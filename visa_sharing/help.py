"""An owner asks for help; the instrument's staff take it and close it."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.app import JupyterHub

from . import accounts
from .database import Request
from .grants import iso


async def open_help(app: JupyterHub, spawner: orm.Spawner) -> dict | None:
    """The request for help of this session that is not closed, as the line and `Sharing` tell it."""
    row = (
        app.db.query(Request)
        .filter(Request.spawner_id == spawner.id, Request.kind == "help")
        .filter(Request.state.in_(("open", "taken")))
        .order_by(Request.id.desc())
        .first()
    )
    if row is None:
        return None
    staff = orm.User.find(app.db, row.staff) if row.staff else None
    name = await accounts.full_name(app.users[staff]) if staff else row.staff
    return {"id": row.id, "message": row.message, "made": iso(row.made_at), "staff": name}
