"""Writes into the audit log what backends have to tell of, such as a machine's claim that was refused."""

from __future__ import annotations

import logging
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import sessionmaker
from traitlets.config import Config

from visa_spawner.site import VisaSite

from .audit.kinds import Unfit
from .audit.record import record

log = logging.getLogger(__name__)


def begin(factory: sessionmaker, config: Config) -> None:
    """Have every backend tell from now on."""
    for backend in VisaSite.of(config).used_backends().values():
        backend.audit_by(partial(tell, factory), config)


def tell(factory: sessionmaker, what: str, **said) -> None:
    """Write a line; what cannot be written is in the hub's log."""
    try:
        with factory() as db:
            record(db, what, **said)
            db.commit()
    except (SQLAlchemyError, Unfit):
        log.exception("a line of the audit log could not be written: %s %s", what, said)
