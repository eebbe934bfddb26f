"""A container's configuration, built from a session's plan: plain values in, plain values out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from visa_session.contract import SESSION_PORT

from ..session import Bind, Person, Resources, SessionPlan, StartRefused
from .gpus import GpuShare
from .nodes import HOST_NETWORK, PUBLISHED, Node
from .placement import Taken
from .watch import HUB_LABEL

_RECIPE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Podman rewrites a mount as one line of comma-separated fields; nothing may add a field to it.
_UNSAFE_IN_MOUNT = re.compile(r'[,"\x00-\x1f\x7f]')
_PERIOD = 100_000  # microseconds

SESSION_LABEL, CPUS_LABEL, MEMORY_LABEL, GPUS_LABEL = "visa.session", "visa.cpus", "visa.memory", "visa.gpus"


@dataclass(frozen=True)
class Limits:
    """What holds for every container, whatever its plan; sizes in bytes."""

    shm_size: int
    tmp_fraction: float
    processes: int
    ulimits: dict[str, tuple[int, int]]


def container_name(hub_id: str, key: str, nonce: str) -> str:
    """A container's name, known before the engine is asked: who made it, for which session, which start."""
    owner, _, server = key.partition("/")
    readable = re.sub(r"[^a-z0-9]+", "-", owner.lower()).strip("-")[:32] or "user"
    return f"visa-{hub_id}-{readable}-{server or 'default'}-{nonce}"


def could_be(name: str, hub_id: str, keys: Iterable[str]) -> bool:
    """Whether a container's name is one that a session of these may have been given."""
    begins = name.rpartition("-")[0]
    return any(container_name(hub_id, key, "").rstrip("-") == begins.rstrip("-") for key in keys)


def image_name(template: str, recipe: str) -> str:
    """The image a recipe's name stands for; raises StartRefused for what is no recipe's name."""
    if not _RECIPE.fullmatch(recipe):
        raise StartRefused("This profile names no image that could exist.", field="profile", status=500)
    return template.format(recipe=recipe)


def binds_for(node: Node, binds: Sequence[Bind]) -> list[dict[str, Any]]:
    """The bind mounts; on another machine than the hub's the pinned mounts do not exist, so paths stand in.

    Raises StartRefused for a path that an engine could misread.
    """
    mounts = []
    for bind in binds:
        source = bind.source if node.is_local else (bind.path or bind.target)
        for path in (source, bind.target):
            if not path.startswith("/") or _UNSAFE_IN_MOUNT.search(path):
                raise StartRefused(
                    "A folder of this session has a character in its name that cannot be used.",
                    field="experiments",
                )
        # As a mount, not as "source:target": Docker refuses a missing source then, and would else make it.
        # With BindOptions of any kind Podman leaves out what is mounted below; both make it private anyhow.
        mounts.append({"Type": "bind", "Source": source, "Target": bind.target, "ReadOnly": bind.read_only})
    return mounts


def labels_for(plan: SessionPlan, hub_id: str, taken: Taken) -> dict[str, str]:
    """What lets a hub that has forgotten everything find its containers and what they take."""
    return {
        **plan.labels,
        HUB_LABEL: hub_id,
        SESSION_LABEL: plan.key,
        CPUS_LABEL: repr(taken.cpus),
        MEMORY_LABEL: str(taken.memory),
        GPUS_LABEL: ",".join(taken.gpus),
    }


def taken_from(node: str, labels: dict[str, str]) -> Taken:
    """What a container takes, by its labels; raises ValueError when they do not say."""
    gpus = tuple(filter(None, labels.get(GPUS_LABEL, "").split(",")))
    try:
        return Taken(node, float(labels[CPUS_LABEL]), int(labels[MEMORY_LABEL]), gpus)
    except (KeyError, ValueError) as error:
        raise ValueError(f"labels do not say what it takes: {error}") from error


def listens_on(node: Node) -> tuple[str, int]:
    """Address and port for the session's server; port 0: it picks a free one."""
    return (node.host, 0) if node.network == HOST_NETWORK else ("0.0.0.0", SESSION_PORT)


def reached_at(node: Node, found: dict) -> tuple[str, int]:
    """Host, and published port or 0, where a started container is reached, from the engine's inspection."""
    if node.network == HOST_NETWORK:
        return node.host, 0
    if node.network == PUBLISHED:
        ports = found["NetworkSettings"]["Ports"].get(f"{SESSION_PORT}/tcp") or [{}]
        return node.host, int(ports[0].get("HostPort") or 0)
    network = found["NetworkSettings"]["Networks"].get(node.network) or {}
    return network.get("IPAddress") or network.get("GlobalIPv6Address") or "", 0


def address_at(host: str, port: int) -> str | None:
    """`http://HOST:PORT`; None where the host is not known."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}" if host else None


def check_sources(body: dict) -> None:
    """Raise StartRefused unless every bind's source is there: Podman makes a missing one by itself."""
    for mount in body["HostConfig"]["Mounts"]:
        if not os.path.exists(mount["Source"]):
            raise StartRefused(
                f"The folder {mount['Target']} is not there at the moment. Tell the facility's staff.",
                field="experiments",
                status=503,
                reason="data",
            )


def container_spec(
    plan: SessionPlan, *, node: Node, taken: Taken, gpus: GpuShare, image: str, hub_id: str, limits: Limits
) -> dict[str, Any]:
    """The body of the engine's "create"; raises StartRefused when the plan holds what must not go there."""
    person = plan.person
    check_person(person)
    return body_for(
        plan.resources,
        node=node,
        gpus=gpus,
        image=image,
        limits=limits,
        command=plan.command,
        binds=plan.binds,
        user=f"{person.uid}:{person.gid}",
        groups=[str(gid) for gid in person.gids],
        environment={**plan.environment, **dict(gpus.environment)},
        labels=labels_for(plan, hub_id, taken),
        hostname=hostname_for(plan.key),
    )


def check_person(person: Person) -> None:
    """Raise StartRefused for who must never have a session."""
    if person.uid <= 0 or person.gid <= 0 or any(gid <= 0 for gid in person.gids):
        raise StartRefused("Sessions never run as the system's own accounts.", field="", status=403)


def hostname_for(key: str) -> str:
    """The name of its machine that a session sees: its own."""
    return key.partition("/")[2][:63] or "session"


def body_for(
    resources: Resources,
    *,
    node: Node,
    gpus: GpuShare,
    image: str,
    limits: Limits,
    command: Sequence[str],
    binds: Sequence[Bind],
    user: str,
    groups: Sequence[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
    hostname: str,
    capabilities: Sequence[str] = (),
) -> dict[str, Any]:
    """What holds for every container of ours, whoever it is for; raises StartRefused, ValueError."""
    for name, value in environment.items():
        # Podman takes NAME and NAME* from its own environment, so only whole assignments pass.
        if not _VARIABLE.fullmatch(name) or "\x00" in value:
            raise ValueError(f"environment variable {name!r} cannot be passed on")
    mounts = binds_for(node, binds) + [
        {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
        for source, target in gpus.mounts
    ]
    host = {
        # visa-session is the first process itself: an engine's own would keep the session's token where every
        # process of the account can read it, in /proc/1/environ.
        "Init": False,
        "Privileged": False,
        "CapAdd": list(capabilities),
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "CgroupnsMode": "private",
        "GroupAdd": list(groups),
        "NetworkMode": "bridge" if node.network == PUBLISHED else node.network,
        "RestartPolicy": {"Name": "no"},
        "AutoRemove": False,
        "Mounts": mounts,
        "Tmpfs": _tmpfs(resources, limits),
        "ShmSize": limits.shm_size,
        "PidsLimit": limits.processes,
        "CpuPeriod": _PERIOD,
        "CpuQuota": max(1000, int(resources.cpus * _PERIOD)),
        "Memory": resources.memory,
        "MemorySwap": resources.memory,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
        "Ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in limits.ulimits.items()
        ],
        "Devices": [
            {"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": "rw"}
            for outside, inside in gpus.devices
        ],
    }
    body = {
        "Image": image,
        "Entrypoint": [],
        "Cmd": list(command),
        "User": user,
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": dict(labels),
        "Hostname": hostname,
        "StopSignal": "SIGTERM",
        "HostConfig": host,
    }
    if gpus.request_ids:
        host["DeviceRequests"] = [
            {
                "Driver": "nvidia",
                "DeviceIDs": list(gpus.request_ids),
                "Capabilities": [["gpu", "compute", "utility", "graphics"]],
            }
        ]
    if node.network == PUBLISHED:
        port = f"{SESSION_PORT}/tcp"
        body["ExposedPorts"] = {port: {}}
        host["PortBindings"] = {port: [{"HostIp": node.host, "HostPort": ""}]}
    if node.network == HOST_NETWORK:
        del body["Hostname"]
    return body


def _tmpfs(resources: Resources, limits: Limits) -> dict[str, str]:
    size = int(resources.memory * limits.tmp_fraction)
    if not size:
        return {}
    options = f"rw,exec,nosuid,nodev,size={size},mode=1777"
    # /run/lock is the third directory of a Debian image that anyone may write.
    return {"/tmp": options, "/var/tmp": options, "/run/lock": "rw,noexec,nosuid,nodev,size=1m,mode=1777"}
