"""A waiting container's configuration: a session's own, but for everything that is somebody's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...session import WarmPair
from ..gpus import share
from ..nodes import Node
from ..placement import Taken
from ..spec import CPUS_LABEL, GPUS_LABEL, MEMORY_LABEL, Limits, body_for
from ..watch import HUB_LABEL
from .fingerprint import fingerprint

#: What a waiting container was made from: see `fingerprint`. A session's own never carries it.
WARM_LABEL = "visa.warm"
PROFILE_LABEL, PLAN_LABEL = "visa.profile", "visa.plan"
COMMAND = ("visa-session", "--wait")
#: What a session's command must be for it to find one that waits.
SESSION_COMMAND = ("visa-session",)
#: What root inside needs to become the person for good; gone, with root, once it has.
CAPABILITIES = ("SETUID", "SETGID", "SETPCAP")
LANGUAGE = "C.UTF-8"

#: Bytes that one takes while it waits, until one of its image was measured.
GUESS = 192 << 20


def warm_name(hub_id: str, nonce: str) -> str:
    """A waiting container's name: whatever bears it is nobody's, since a start renames it before all else."""
    return f"visa-{hub_id}-warm-{nonce}"


def is_warm_name(name: str, hub_id: str) -> bool:
    """Whether a container of that hub waits: a session's name has a session's and a start's part more."""
    begins = warm_name(hub_id, "")
    return name.startswith(begins) and re.fullmatch("[0-9a-f]{8}", name[len(begins) :]) is not None


def waits(name: str, labels: Mapping[str, str]) -> bool:
    """Whether a container, of whichever hub, is nobody's yet."""
    return WARM_LABEL in labels and is_warm_name(name, labels.get(HUB_LABEL, ""))


def taken_waiting(node: str, memory: int = GUESS) -> Taken:
    """What one takes of its node while it waits: memory alone, since it does nothing."""
    return Taken(node, 0, memory)


def pair_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """Profile and plan, by the labels of a container or of a session's plan; empty where they do not say."""
    return labels.get(PROFILE_LABEL, ""), labels.get(PLAN_LABEL, "")


def waiting_spec(pair: WarmPair, *, node: Node, image: str, hub_id: str, limits: Limits) -> dict[str, Any]:
    """The body of the engine's "create"; raises StartRefused, ValueError as for a session's."""
    gpus = share(node, ())
    body = body_for(
        pair.resources,
        node=node,
        gpus=gpus,
        image=image,
        limits=limits,
        command=COMMAND,
        binds=pair.binds,
        user="0:0",
        groups=[],
        environment={"LANG": LANGUAGE, **dict(gpus.environment)},
        # What the session in it will take: the books of a restarted hub have it from here.
        labels={
            PROFILE_LABEL: pair.profile,
            PLAN_LABEL: pair.plan,
            HUB_LABEL: hub_id,
            CPUS_LABEL: repr(pair.resources.cpus),
            MEMORY_LABEL: str(pair.resources.memory),
            GPUS_LABEL: "",
        },
        hostname="waiting",
        capabilities=CAPABILITIES,
    )
    body["Labels"][WARM_LABEL] = fingerprint(body)
    return body
