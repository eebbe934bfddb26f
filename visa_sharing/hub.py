"""Joins the hub: our tables, our calls, and the one task that sees to who is in which session."""

from __future__ import annotations

import asyncio

from jupyterhub.apihandlers import default_handlers
from traitlets.config import Config

from . import changes, schema
from .calls import join, line, links, lock, members, mine, session, shared, teams
from .keeper import Keeper
from .settings import VisaSharing

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
]

#: Held here, or the loop would let the task go.
_keeper: asyncio.Task | None = None


def prepare(config: Config) -> VisaSharing:
    """Join the hub that is starting.

    To be called in jupyterhub_config.py after all of `c.VisaSharing` is set. Raises what is wrong with the
    settings, which stops the hub.
    """
    global _keeper
    VisaSharing.clear_instance()
    settings = VisaSharing.of(config)
    schema.join_hub(changes.listen)
    for path, handler in HANDLERS:
        if (path, handler) not in default_handlers:
            default_handlers.append((path, handler))
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return settings  # the file is only being read, as by a test or `jupyterhub upgrade-db`
    _keeper = loop.create_task(Keeper(settings).run())
    return settings
