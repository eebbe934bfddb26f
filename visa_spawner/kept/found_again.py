"""Reads, at the hub's start, what it needs of the sessions that it left running: many at a time.

The stock hub asks the database seven questions about the owner of each running session, before it answers
anybody. Here all owners are read first, a few hundred at once, and the hub finds them at hand. What it reads
before that of all people and sessions, and does not need, is left where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.slugs import is_valid_safe_slug
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, lazyload, selectinload


def owners(db: Session) -> list[orm.User]:
    """Everybody with a running session, with all that the hub asks of them; to be held while it asks."""
    running = db.query(orm.Spawner.user_id).filter(orm.Spawner.server_id.isnot(None))
    return (
        db.query(orm.User)
        .filter(orm.User.id.in_(running))
        .options(selectinload(orm.User._orm_spawners))
        .all()
    )


@contextmanager
def rows_alone(db: Session) -> Iterator[None]:
    """What is read meanwhile comes without all that belongs to it, which is read where it is asked for."""

    def alone(state: ORMExecuteState) -> None:
        if state.is_select and not state.is_relationship_load:
            state.statement = state.statement.options(lazyload("*"))

    event.listen(db, "do_orm_execute", alone)
    try:
        yield
    finally:
        event.remove(db, "do_orm_execute", alone)


def has_invalid_names(db: Session) -> bool:
    """Whether any session has a name that an earlier JupyterHub allowed and this one does not."""
    named = db.query(orm.Spawner.name).filter(orm.Spawner.name != "").distinct()
    return not all(is_valid_safe_slug(row.name) for row in named)


def join_hub() -> None:
    """Have the hub read so at its start; harmless when done already."""
    if getattr(JupyterHub.init_spawners, "visa", False):
        return
    init_users, check_names = JupyterHub.init_users, JupyterHub.check_invalid_named_servers
    stock = JupyterHub.init_spawners

    @wraps(init_users)
    async def users(app):
        with rows_alone(app.db):
            await init_users(app)

    @wraps(check_names)
    def names(app):
        if has_invalid_names(app.db):
            check_names(app)

    @wraps(stock)
    async def init_spawners(app):
        held = owners(app.db)
        count = await stock(app)
        del held
        return count

    init_spawners.visa = True
    JupyterHub.init_users, JupyterHub.check_invalid_named_servers = users, names
    JupyterHub.init_spawners = init_spawners
