"""The tags that a machine carries: whose it is and what it takes, for a hub that has forgotten everything."""

from __future__ import annotations

from collections.abc import Mapping

from ...session import Resources, WarmPair
from ..placement import Taken

HUB, SESSION, PROFILE, PLAN, MARK = "hub", "session", "profile", "plan", "mark"
CPUS, MEMORY, GPUS, HOST, MADE = "cpus", "memory", "gpus", "host", "made"
#: Where a provider keeps the address that it gave; its own business.
ADDRESS = "address"


def of_taken(taken: Taken) -> dict[str, str]:
    """What a machine takes of its host."""
    return {
        HOST: taken.node,
        CPUS: repr(taken.cpus),
        MEMORY: str(taken.memory),
        GPUS: ",".join(taken.gpus),
    }


def taken_from(tags: Mapping[str, str]) -> Taken:
    """The same, read; raises ValueError where the tags do not say."""
    try:
        gpus = tuple(filter(None, tags.get(GPUS, "").split(",")))
        return Taken(tags[HOST], float(tags[CPUS]), int(tags[MEMORY]), gpus)
    except (KeyError, ValueError) as error:
        raise ValueError(f"tags do not say what it takes: {error}") from error


def of_pair(pair: WarmPair, mark: str) -> dict[str, str]:
    """Of a machine that waits for a session of these, and is nobody's."""
    return {SESSION: "", PROFILE: pair.profile, PLAN: pair.plan, MARK: mark}


def waits(tags: Mapping[str, str]) -> bool:
    """Whether the machine is nobody's, and never was anybody's."""
    return bool(tags.get(MARK)) and not tags.get(SESSION)


def resources_of(tags: Mapping[str, str]) -> Resources | None:
    """What a session in it may use, where the tags say."""
    try:
        taken = taken_from(tags)
    except ValueError:
        return None
    return Resources(taken.cpus, taken.memory, len(taken.gpus))
