"""Calls by a session itself: who came and went."""

from __future__ import annotations

import hashlib
from datetime import UTC
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field

from .. import entries
from .callers import Body, OwnSessionHandler


class Entry(Body):
    """One coming or going, as docs/developers/sharing.md has it."""

    # Times come as text.
    model_config = ConfigDict(extra="forbid", strict=False)

    key: str = Field(min_length=1, max_length=200)
    name: str = Field(min_length=1, max_length=255)
    role: Literal["owner", "viewer", "collaborator"]
    what: Literal["entered", "left"]
    at: AwareDatetime
    address: str = Field("", max_length=64)


class Entries(Body):
    """A list of them."""

    model_config = ConfigDict(extra="forbid", strict=False)

    entries: list[Entry] = Field(max_length=500)


class EntriesHandler(OwnSessionHandler):
    """What a session says of comings and goings; sent again after a failure, so counted once by key."""

    async def post(self):
        spawner = self.session().orm_spawner
        said = self.body(Entries)
        for entry in said.entries:
            # Of this session alone: a key of one must not swallow a line of another.
            key = hashlib.sha256(f"{spawner.user.name}/{spawner.name} {entry.key}".encode()).hexdigest()
            at = entry.at.astimezone(UTC).replace(tzinfo=None)
            values = entry.model_dump(exclude={"at", "key"})
            entries.note(self.db, spawner, key=key, at=at, **values)
        self.db.commit()
        self.answer(None)


HANDLERS = [("/api/visa/entries", EntriesHandler)]
