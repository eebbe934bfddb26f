"""Profiles: an environment for a kind of work, one YAML file each; `profile_files` reads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from functools import cached_property
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..session import Resources

#: What may name a profile, a plan, an image: safe in a path, a label and an address without quoting.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _no_controls(text: str) -> str:
    if any(not c.isprintable() and c != "\n" for c in text):
        raise ValueError("holds a character that cannot be printed")
    return text


#: Some paragraphs of plain text, an empty line between two.
Paragraphs = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=4000), AfterValidator(_no_controls)
]

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def to_bytes(value: object) -> int:
    """`16G` as a number of bytes; a unit is one of K, M, G, T, each 1024 of the one before.

    Raises ValueError for anything else.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,8})([KMGT])", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a whole number and a unit, such as 16G (units: K, M, G, T)")
    return int(match[1]) * _UNITS[match[2]]


Bytes = Annotated[int, BeforeValidator(to_bytes)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Suits(_Part):
    """What a profile is made for, by the names the catalogue uses.

    `definitions` are application definitions of NeXus, such as NXtomo, that datasets are written in.
    """

    instruments: list[Line] = []
    techniques: list[Line] = []
    definitions: list[Annotated[str, StringConstraints(pattern=r"^NX[A-Za-z0-9_]{1,60}$")]] = []


class Licence(_Part):
    """What whoever uses a piece of software must know: whom it is free for, what to cite."""

    software: Line
    note: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Lifetime(_Part):
    """Hours: what a session gets unless asked otherwise, at most, and how long it may lie idle."""

    default_hours: Annotated[float, Field(gt=0, le=8784)]
    max_hours: Annotated[float, Field(gt=0, le=8784)]
    idle_hours: Annotated[float, Field(gt=0, le=8784)] | None = None

    @model_validator(mode="after")
    def _default_within_max(self):
        if self.default_hours > self.max_hours:
            raise ValueError("default_hours is more than max_hours")
        return self


#: What may name a partition, an account, a QOS: safe in an argument, no list and no option.
ClusterName = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,62})?$")]


AccountRule = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]{0,62}|\{(proposal|instrument)\})?$")
]


class Plan(_Part):
    """Hardware, and the backend that has it. `memory` and `disk` are in bytes once read, `hours` the
    longest a session on this plan may last. `warm`: containers wait for its sessions, as
    `c.ContainerBackend.warm_memory` has room; on a cluster room is kept for them, by `c.SlurmBackend.seats`.

    For a cluster: `cpus`, `memory` and `gpus` are those of each of its `nodes`; `account` is a name, or the
    rule `{proposal}` or `{instrument}`, which stands for that of the session's first experiment; `tasks` the
    number of MPI tasks.

    For a virtual machine: `disk` is the size of its own, `pool` how many are kept booted for its sessions.
    """

    title: Line
    backend: Name
    cpus: Annotated[float, Field(gt=0, le=4096)]
    memory: Bytes
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    gpu_type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,62}$")] = ""
    partition: ClusterName = ""
    account: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{0,62}$|^\{(proposal|instrument)\}$")
    ] = ""
    qos: ClusterName = ""
    reservation: ClusterName = ""
    nodes: Annotated[int, Field(ge=1, le=1024)] = 1
    tasks: Annotated[int, Field(ge=1, le=65536)] = 1
    disk: Bytes | None = None
    hours: Annotated[float, Field(gt=0, le=8784)] | None = None
    warm: bool = False
    pool: Annotated[int, Field(ge=0, le=64)] = 0

    @field_validator("warm")
    @classmethod
    def _can_wait(cls, warm: bool, values: ValidationInfo) -> bool:
        backend = values.data.get("backend", "container")
        if warm and backend not in ("container", "slurm"):
            raise ValueError("only plans with `backend: container` or `backend: slurm` can be warm")
        if warm and backend == "container" and values.data.get("gpus"):
            raise ValueError("a container that waits would hold a GPU that somebody needs")
        if warm and values.data.get("nodes", 1) > 1:
            raise ValueError("no room is kept for a plan of several nodes")
        return warm

    @field_validator("pool")
    @classmethod
    def _machines_alone(cls, pool: int, values: ValidationInfo) -> int:
        if pool and values.data.get("backend") != "vm":
            raise ValueError("only a plan with `backend: vm` can have machines that wait")
        return pool

    @property
    def resources(self) -> Resources:
        return Resources(self.cpus, self.memory, self.gpus, self.gpu_type, self.partition, self.nodes)


class Profile(_Part):
    """An environment for a kind of work. `roles` are the facility roles that may use it; none: everyone.

    `audience` says in a line whom it suits, `help` where to begin. `cluster`: whether its sessions reach the
    cluster, as `c.ClusterAccess` has it. `stream_rate`: pictures a second of the desktop's video stream at
    most, 0 for none.
    """

    name: Name
    title: Line
    summary: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    audience: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""
    help: Paragraphs = ""
    licences: list[Licence] = []
    suits: Suits = Suits()
    image: Name
    applications: list[Name] = []
    roles: list[Name] = []
    cluster: bool = False
    stream_rate: Annotated[int, Field(ge=0, le=60)] = 60
    lifetime: Lifetime
    plans: Annotated[dict[Name, Plan], Field(min_length=1)]

    def allows(self, roles: Collection[str]) -> bool:
        """Whether somebody with these facility roles may use it."""
        return not self.roles or not set(self.roles).isdisjoint(roles)

    @cached_property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with anything that the file says of its sessions."""
        # Whether containers or machines wait makes no difference to what a session is.
        said = self.model_dump_json(exclude={"plans": {"__all__": {"warm", "pool"}}})
        return hashlib.sha256(said.encode()).hexdigest()[:12]
