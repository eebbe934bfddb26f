"""Joins the hub: our tables, our calls, and the one task that sees to who is in which session."""

from __future__ import annotations

import asyncio

from jupyterhub.apihandlers import default_handlers
from jupyterhub.app import JupyterHub
from sqlalchemy.orm import sessionmaker
from traitlets.config import Config

from visa_spawner.site import VisaSite, only_read

from . import backends, changes, entering, schema
from .audit.follow import Follower, follow
from .calls import (
    admin,
    history,
    join,
    line,
    links,
    lock,
    members,
    mine,
    notices,
    passports,
    pulse,
    session,
    shared,
    support,
    teams,
)
from .drained import drained
from .keeper import Keeper
from .meters import time_database
from .passports import KeptPassports
from .settings import VisaSharing
from .settled import KeptMembers

#: Every call of ours, below /hub/api/.
HANDLERS = [
    *line.HANDLERS,
    *session.HANDLERS,
    *members.HANDLERS,
    *teams.HANDLERS,
    *links.HANDLERS,
    *lock.HANDLERS,
    *join.HANDLERS,
    *shared.HANDLERS,
    *mine.HANDLERS,
    *pulse.HANDLERS,
    *support.HANDLERS,
    *notices.HANDLERS,
    *history.HANDLERS,
    *admin.HANDLERS,
    *passports.HANDLERS,
]

#: Held here, or the loop would let the task go.
_keeper: asyncio.Task | None = None
_follower: Follower | None = None


def prepare(config: Config) -> VisaSharing | None:
    """Join the hub that is starting.

    To be called in jupyterhub_config.py after all of `c.VisaSharing` is set. Raises what is wrong with the
    settings, which stops the hub. None where the configuration is only read.
    """
    global _keeper
    if only_read.get():
        return None
    VisaSharing.clear_instance()
    settings = VisaSharing.of(config)
    VisaSite.of(config).passports = KeptPassports()
    schema.join_hub(_begin)
    entering.join()
    for path, handler in HANDLERS:
        if (path, handler) not in default_handlers:
            default_handlers.append((path, handler))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return settings  # the file is only being read, as by a test or `jupyterhub upgrade-db`
    keeper = Keeper(settings)
    VisaSite.of(config).members = KeptMembers(keeper)
    _keeper = loop.create_task(keeper.run())
    return settings


def _begin(factory: sessionmaker) -> None:
    """The hub's database is there, and nothing has been asked of the hub yet."""
    global _follower
    changes.listen(factory)
    time_database(factory)
    if not JupyterHub.initialized():
        return  # a command beside the hub, such as `jupyterhub token`
    app = JupyterHub.instance()
    _follower = follow(factory, VisaSharing.of(app.config).events_file, app.eventlog)
    with factory() as db:
        drained().begin(db, app.config)
    backends.begin(factory, app.config)
