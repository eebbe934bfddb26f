"""What a seat is made from, in the word that its mark begins with: equal where a new one would be the same.

So a hub that starts again knows its seats by their marks alone.
"""

from __future__ import annotations

import math
import os
import secrets
from dataclasses import dataclass
from typing import Any

from ....session import WarmPair
from ... import software
from ...warm.fingerprint import fingerprint
from .. import job as asked
from .. import trees
from ..settings import SlurmSettings

#: Hexadecimal digits of a mark's nonce that say what the seat is; the others are a seat's own.
WORD = 16


@dataclass(frozen=True)
class Kind:
    """One pair's seats: `image` is what they read on their node ("": its own), `job` what Slurm is asked."""

    pair: WarmPair
    image: str
    job: dict[str, Any]
    word: str

    def new_mark(self, hub_id: str) -> str:
        """The comment of a new seat."""
        return f"visa:{hub_id}:{self.word}{secrets.token_hex(16 - WORD // 2)}"


def word_of(mark: str) -> str:
    """What kind of seat a mark is of."""
    return mark.rpartition(":")[2][:WORD]


def kind_of(pair: WarmPair, settings: SlurmSettings) -> Kind:
    """The seats of a pair as they would be made now. Looks at the image's files: not for the event loop."""
    image = digest = ""
    # Without a runtime the software is the node's own, where the node program knows to look.
    if settings.runtime != "plain":
        image = trees.find(settings.image_template, pair.image) or ""
        digest = f"{os.path.realpath(image)} {software.of_result(image)['digest']}"
    resources = pair.resources
    job = {
        "partition": settings.seats_partition or resources.partition or settings.partition,
        "account": settings.seats_account,
        "qos": settings.seats_qos,
        "reservation": "",
        **asked.size(resources),
        "nodes": 1,
        "tasks": 1,
        "minutes": max(1, math.ceil(settings.seats_hours * 60)),
    }
    body = {"pair": pair.key, "image": [image, digest], "job": job}
    return Kind(pair, image, job, fingerprint(body)[:WORD])
