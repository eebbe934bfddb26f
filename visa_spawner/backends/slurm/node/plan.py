"""The plan of a session, as the hub wrote it; see docs/developers/slurm.md."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass

from visa_session.contract import EXIT_BAD_INFO

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NotFit(Exception):
    """The session must not start; `code` is its exit code, the text one plain sentence."""

    def __init__(self, code: int, words: str):
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(frozen=True)
class Person:
    """Whom the session runs as; what the name databases inside are made of."""

    username: str
    uid: int
    gid: int
    gids: tuple
    home: str


@dataclass(frozen=True)
class Bind:
    """A path of the node that stands at the same place in the session."""

    path: str
    read_only: bool


@dataclass(frozen=True)
class Plan:
    """All that the program is told; `tmp_bytes` and `minutes` are the plan's own limits.

    `texts` are files of the session, by their place, that nobody may change.
    """

    runtime: str
    image: str
    command: tuple
    person: Person
    binds: tuple
    short_ways: dict
    texts: dict
    environment: dict
    gpus: int
    gpu_device: str
    gpu_common: tuple
    minutes: int
    extra_binds: tuple
    tmp_bytes: int
    listen: str


def read(text: bytes) -> Plan:
    """The plan that a text is; raises NotFit."""
    try:
        values = json.loads(text)
        who = dict(values.pop("person"))
        who["gids"] = tuple(who["gids"])
        binds = [tuple(Bind(**bind) for bind in values.pop(name)) for name in ("binds", "extra_binds")]
        for name in ("command", "gpu_common"):
            values[name] = tuple(values[name])
        plan = Plan(person=Person(**who), binds=binds[0], extra_binds=binds[1], **values)
        _check(plan)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotFit(EXIT_BAD_INFO, f"The plan of this session cannot be understood: {error!r}.") from error
    return plan


def is_plain(path: object) -> bool:
    """Whether a value is an absolute path without empty parts, `.` or `..`."""
    return (
        isinstance(path, str)
        and path.startswith("/")
        and not {"", ".", ".."} & set(path[1:].split("/"))
        and "\x00" not in path
    )


def _check(plan: Plan) -> None:
    """Raise ValueError for what could not be meant."""
    if (plan.person.uid, plan.person.gid) != (os.getuid(), os.getgid()):
        raise ValueError("the job runs as another account than the plan is for")
    if not plan.command or not all(isinstance(part, str) for part in plan.command):
        raise ValueError("no command")
    paths = [plan.image, plan.person.home, plan.gpu_device, *plan.gpu_common]
    paths += [bind.path for bind in plan.binds + plan.extra_binds]
    paths += [end for way in plan.short_ways.items() for end in way] + list(plan.texts)
    for path in paths:
        if not is_plain(path):
            raise ValueError(f"{path!r} is not a plain absolute path")
    if not all(isinstance(text, str) for text in plan.texts.values()):
        raise ValueError("a text that is none")
    for name, value in plan.environment.items():
        if not _VARIABLE.fullmatch(name) or not isinstance(value, str) or "\x00" in value:
            raise ValueError(f"environment variable {name!r}")
