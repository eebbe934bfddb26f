"""Nodes that an administrator has taken out of service for new sessions; what runs there stays."""

from __future__ import annotations

from functools import partial

from sqlalchemy.orm import Session
from traitlets.config import Config

from visa_spawner.site import VisaSite

from .audit.record import record
from .database import DrainedNode


class Drained:
    """The words about each drained node, by backend and node: kept at hand, since each start asks."""

    def __init__(self):
        self._words: dict[tuple[str, str], str] = {}

    def words(self, backend: str, node: str) -> str | None:
        """What to say to whoever wants to start a session there; None where that is possible."""
        return self._words.get((backend, node))

    def begin(self, db: Session, config: Config) -> None:
        """Take what the database has, and have every backend ask from now on."""
        self._words = {(row.backend, row.node): row.words for row in db.query(DrainedNode)}
        site = VisaSite.of(config)
        for name, backend in site.used_backends().items():
            backend.drain_by(partial(self.words, name), config)

    def drain(self, db: Session, backend: str, node: str, words: str, *, who: str, address: str) -> None:
        """No new sessions there from now on, or other words about it; committed."""
        row = db.get(DrainedNode, (backend, node))
        if row is None:
            row = DrainedNode(backend=backend, node=node, made_by=who)
            db.add(row)
        row.words, row.made_by = words, who
        record(db, "node-drained", who=who, address=address, backend=backend, node=node, words=words)
        db.commit()
        self._words[backend, node] = words

    def undrain(self, db: Session, backend: str, node: str, *, who: str, address: str) -> None:
        """New sessions there again; committed, and harmless where it was not drained."""
        row = db.get(DrainedNode, (backend, node))
        if row is not None:
            db.delete(row)
            record(db, "node-undrained", who=who, address=address, backend=backend, node=node)
            db.commit()
        self._words.pop((backend, node), None)


_drained = Drained()


def drained() -> Drained:
    """The hub's one collection."""
    return _drained
