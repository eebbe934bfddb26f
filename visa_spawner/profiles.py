"""Profiles: an environment for a kind of work, one YAML file each, checked when the hub starts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from .session import Resources

#: What may name a profile, a plan, an image: safe in a path, a label and an address without quoting.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

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
    """The instruments and techniques a profile is made for, by the names the catalogue uses."""

    instruments: list[Line] = []
    techniques: list[Line] = []


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
    longest a session on this plan may last.

    For a cluster: `cpus`, `memory` and `gpus` are those of each of its `nodes`; `account` is a name, or the
    rule `{proposal}` or `{instrument}`, which stands for that of the session's first experiment; `tasks` the
    number of MPI tasks.
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

    @property
    def resources(self) -> Resources:
        return Resources(self.cpus, self.memory, self.gpus, self.gpu_type, self.partition, self.nodes)


class Profile(_Part):
    """An environment for a kind of work. `roles` are the facility roles that may use it; none: everyone.

    `cluster`: whether its sessions reach the cluster, as `c.ClusterAccess` has it.
    """

    name: Name
    title: Line
    summary: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    suits: Suits = Suits()
    image: Name
    applications: list[Name] = []
    roles: list[Name] = []
    cluster: bool = False
    lifetime: Lifetime
    plans: Annotated[dict[Name, Plan], Field(min_length=1)]

    def allows(self, roles: Collection[str]) -> bool:
        """Whether somebody with these facility roles may use it."""
        return not self.roles or not set(self.roles).isdisjoint(roles)


class ProfileError(Exception):
    """A profile file cannot be used: the message names the file, the line and the field."""


def load_profiles(directory: str | Path, backends: Collection[str] | None = None) -> dict[str, Profile]:
    """All profiles of a directory, by name, in the order of their titles.

    `backends`: the names a plan may use; None does not check them. Raises ProfileError naming file, line
    and field of the first thing that is wrong, also when there is no profile at all.
    """
    directory = Path(directory)
    try:
        files = sorted(p for p in directory.iterdir() if p.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise ProfileError(f"{directory}: {error.strerror}") from error
    if not files:
        raise ProfileError(f"{directory}: there is no profile (a file NAME.yaml) here")
    profiles = [load_profile(file, backends) for file in files]
    return {profile.name: profile for profile in sorted(profiles, key=lambda p: (p.title, p.name))}


def load_profile(file: Path, backends: Collection[str] | None = None) -> Profile:
    """One profile; raises ProfileError as `load_profiles` does."""
    values, lines = _read(file)
    try:
        profile = Profile.model_validate(values)
    except ValidationError as error:
        # A misspelt field is told before the one that is missing because of it.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        # pydantic marks the key of a mapping, where the key itself is wrong, with an extra "[key]".
        path = tuple(part for part in first["loc"] if part != "[key]")
        raise _wrong(file, lines, path, _plain(first)) from error
    if file.suffix != ".yaml":
        raise ProfileError(f"{file}: the file's name must end in .yaml")
    if profile.name != file.stem:
        raise _wrong(file, lines, ("name",), f"must be the file's name, {file.stem!r}")
    for name, plan in profile.plans.items():
        if backends is not None and plan.backend not in backends:
            known = ", ".join(sorted(backends))
            raise _wrong(file, lines, ("plans", name, "backend"), f"no such backend; known: {known}")
    return profile


def _plain(error: Mapping) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "no such field"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            message = error["msg"]
            return message[0].lower() + message[1:]


def _wrong(file: Path, lines: Mapping[tuple, int], path: tuple, problem: str) -> ProfileError:
    known = path
    while known and known not in lines:
        known = known[:-1]
    where = ".".join(str(part) for part in path)
    return ProfileError(f"{file}, line {lines.get(known, 1)}, {where or 'the file'}: {problem}")


def _read(file: Path) -> tuple[object, dict[tuple, int]]:
    """The file's values, and the line (from 1) on which each stands, by its path inside the file."""
    lines: dict[tuple, int] = {}
    try:
        text = file.read_text(encoding="utf-8")
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise ProfileError(f"{file}, line 1, the file: is empty")
            _mark(file, node, (), lines)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProfileError(f"{file}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file}: not valid YAML: {error}") from error
    except OSError as error:
        raise ProfileError(f"{file}: {error.strerror}") from error


def _mark(file: Path, node: yaml.Node, path: tuple, lines: dict[tuple, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            inner = (*path, key.value if isinstance(key, yaml.ScalarNode) else str(key.tag))
            lines[inner] = key.start_mark.line + 1
            if inner in seen:
                raise _wrong(file, lines, inner, "stands there twice")
            seen.add(inner)
            _mark(file, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _mark(file, value, (*path, index), lines)
