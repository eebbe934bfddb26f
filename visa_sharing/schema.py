"""Brings our tables in the hub's database to the present revision, while the hub starts."""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from jupyterhub import orm
from sqlalchemy import Connection, Engine

log = logging.getLogger(__name__)

#: Our own table of revisions: the hub's is `alembic_version`.
VERSION_TABLE = "visa_alembic_version"


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our migrations, working on `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine) -> None:
    """Bring our tables to the present revision, in one transaction; raises what the database says."""
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "head")


def join_hub(then=None) -> None:
    """Have the hub upgrade our tables right after it has made its own; `then(factory)` is called next.

    The hub has no hook between its database and its first request, so its own function is wrapped. Harmless
    when done already.
    """
    if getattr(orm.new_session_factory, "visa", False):
        return
    made_by_hub = orm.new_session_factory

    def new_session_factory(*args, **kwargs):
        factory = made_by_hub(*args, **kwargs)
        with factory() as session:
            upgrade(session.get_bind())
        if then is not None:
            then(factory)
        return factory

    new_session_factory.visa = True
    orm.new_session_factory = new_session_factory
