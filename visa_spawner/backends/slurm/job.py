"""What is asked of the launcher for one session: the job, and the plan that the node program follows."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Sequence
from typing import Any

from visa_session.contract import INFO_VARIABLE

from ...session import Resources, SessionPlan, StartRefused
from .settings import SlurmSettings

#: Variables that hold a session's token; they go another way than the plan.
TOKEN_VARIABLES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
_RECIPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MIB = 1 << 20


def new_mark(hub_id: str) -> str:
    """The comment of a new job, known before it is submitted."""
    return f"visa:{hub_id}:{secrets.token_hex(16)}"


def is_of(mark: str, hub_id: str) -> bool:
    """Whether a job's comment is a mark of this hub."""
    return re.fullmatch(rf"visa:{re.escape(hub_id)}:[0-9a-f]{{32}}", mark) is not None


def person(plan: SessionPlan) -> dict[str, Any]:
    """The owner, as every request to the launcher names them."""
    who = plan.person
    return {"username": who.username, "uid": who.uid, "gid": who.gid, "home": who.home}


def minutes(plan: SessionPlan) -> int:
    """The job's time limit."""
    return max(1, math.ceil(plan.batch.hours * 60))


def size(resources: Resources) -> dict[str, Any]:
    """What a job takes of each of its nodes, in the words of the launcher."""
    return {
        "cpus": max(1, math.ceil(resources.cpus)),
        "memory_mb": max(1, math.ceil(resources.memory / _MIB)),
        "gpus": resources.gpus,
        "gpu_type": resources.gpu_type,
    }


def job(plan: SessionPlan, settings: SlurmSettings, exclude: Sequence[str] = ()) -> dict[str, Any]:
    """What `sbatch` is asked for; "" and 0 leave it to the cluster. Cores and memory are those of a node.

    `exclude` are nodes that it must not run on.
    """
    resources, batch = plan.resources, plan.batch
    wanted = {
        "partition": resources.partition or settings.partition,
        "account": batch.account,
        "qos": batch.qos,
        "reservation": batch.reservation,
        **size(resources),
        "nodes": resources.nodes,
        "tasks": batch.tasks,
        "minutes": minutes(plan),
    }
    return wanted | {"exclude": list(exclude)} if exclude else wanted


def node_plan(plan: SessionPlan, settings: SlurmSettings) -> tuple[dict[str, Any], str]:
    """What the node program is told, and the session's token, which is not in it.

    Raises StartRefused when the plan holds what must not go there.
    """
    who, resources = plan.person, plan.resources
    if min(who.uid, who.gid, *who.gids) <= 0:
        raise StartRefused("Sessions never run as the system's own accounts.", status=403)
    if not _RECIPE.fullmatch(plan.image):
        raise StartRefused("This profile names no image that could exist.", field="profile", status=500)
    environment = dict(plan.environment)
    found = [environment.pop(name, "") for name in TOKEN_VARIABLES]
    token = next((one for one in found if one), "")
    for name, value in environment.items():
        if not _VARIABLE.fullmatch(name) or "\x00" in value or (token and token in value):
            raise ValueError(f"environment variable {name!r} cannot be passed on")
    assert INFO_VARIABLE in environment
    told = {
        "runtime": settings.runtime,
        "image": settings.image_template.format(recipe=plan.image),
        "command": list(plan.command),
        "person": person(plan) | {"gids": list(who.gids)},
        "binds": [{"path": bind.path or bind.target, "read_only": bind.read_only} for bind in plan.binds],
        "short_ways": dict(plan.short_ways),
        "texts": {},
        "environment": environment,
        "gpus": resources.gpus,
        "gpu_device": settings.gpu_device,
        "gpu_common": list(settings.gpu_common),
        "minutes": minutes(plan),
        "extra_binds": [
            {"path": path, "read_only": mode == "ro"} for path, mode in settings.extra_binds.items()
        ],
        "tmp_bytes": int(resources.memory * settings.tmp_fraction),
        "listen": "0.0.0.0",
    }
    return told, token
