"""Reads, at the hub's start, what it needs of the sessions that it left running: many at a time.

The stock hub asks the database seven questions about the owner of each running session, before it answers
anybody. Here all owners are read first, a few hundred at once, and the hub finds them at hand.
"""

from __future__ import annotations

import gc
from functools import wraps

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import Session, selectinload


def owners(db: Session) -> list[orm.User]:
    """Everybody with a running session, with all that the hub asks of them; to be held while it asks."""
    running = db.query(orm.Spawner.user_id).filter(orm.Spawner.server_id.isnot(None))
    return (
        db.query(orm.User)
        .filter(orm.User.id.in_(running))
        .options(selectinload(orm.User._orm_spawners))
        .all()
    )


def join_hub() -> None:
    """Have the hub read them before it looks at its sessions; harmless when done already."""
    stock = JupyterHub.init_spawners
    if getattr(stock, "visa", False):
        return

    @wraps(stock)
    async def init_spawners(app):
        held = owners(app.db)
        count = await stock(app)
        del held
        # What is there by now stays. To look through it for garbage again and again would stop the hub each
        # time, for the longer the more sessions there are.
        gc.freeze()
        return count

    init_spawners.visa = True
    JupyterHub.init_spawners = init_spawners
