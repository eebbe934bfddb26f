"""What the launcher may do at all: a file that only root can write."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass

#: Where it stands, unless the program was made for another place.
PLACE = "/etc/visa/slurm.json"
_LARGEST = 65536
#: `%` and `\` mean something in Slurm's file names.
_PATH = re.compile(r"/[^\x00-\x1f\x7f%\\]{0,400}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,63}")
_HUB_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


class Unusable(Exception):
    """The launcher must not run; the text is for the operator."""


@dataclass(frozen=True)
class Configuration:
    """One cluster, as docs/operators/slurm.md explains each field; `timeout` is in seconds."""

    sbatch: str
    scancel: str
    scontrol: str
    slurm_conf: str
    python: str
    node_program: str
    spool: str
    min_uid: int
    partitions: tuple
    extend: bool
    hub_id: str
    seats_user: str
    timeout: float


#: For what may be left out.
_DEFAULTS = {
    "hub_id": "",
    "seats_user": "",
    "timeout": 15,
    "extend": False,
    "partitions": [],
    "slurm_conf": "",
}


def read(place: str) -> Configuration:
    """Read it; raises Unusable when anybody but root could have written it, or when it makes no sense."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Unusable(f"{place} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Unusable(f"{place} is no file")
        if found.st_uid != 0:
            raise Unusable(f"{place} belongs to uid {found.st_uid}; it must be root's")
        if found.st_mode & 0o022:
            raise Unusable(f"{place} may be written by others than root")
        text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise Unusable(f"{place} is larger than {_LARGEST} bytes")
    try:
        values = json.loads(text)
    except ValueError as error:
        raise Unusable(f"{place} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise Unusable(f"{place} holds no object")
    return checked(values, place)


def checked(values: dict, place: str) -> Configuration:
    """The configuration that these values make; raises Unusable and names the field."""
    fields = set(Configuration.__dataclass_fields__)
    for name in sorted(set(values) - fields):
        raise Unusable(f"{place}: {name} is no setting")
    values = {**_DEFAULTS, **values}
    for name in sorted(fields - set(values)):
        raise Unusable(f"{place}: {name} is missing")

    def need(name: str, fine: bool, what: str) -> None:
        if not fine:
            raise Unusable(f"{place}: {name} must be {what}")

    for name in ("sbatch", "scancel", "scontrol", "python", "node_program", "slurm_conf"):
        value = values[name]
        empty = name == "slurm_conf" and value == ""
        need(name, empty or is_path(value), "an absolute path")
    spool = values["spool"]
    plain = spool[: -len("/{uid}")] if isinstance(spool, str) and spool.endswith("/{uid}") else None
    need("spool", is_path(plain), "an absolute path that ends with /{uid}")
    need("min_uid", is_whole(values["min_uid"]) and values["min_uid"] > 0, "a whole number above 0")
    partitions = values["partitions"]
    names = isinstance(partitions, list) and all(is_word(name) for name in partitions)
    need("partitions", names, "a list of names")
    need("extend", isinstance(values["extend"], bool), "true or false")
    hub_id = values["hub_id"]
    fits = isinstance(hub_id, str) and (hub_id == "" or bool(_HUB_ID.fullmatch(hub_id)))
    need("hub_id", fits, "the hub's hub_id, or empty")
    user = values["seats_user"]
    need("seats_user", user == "" or is_word(user), "an account's name, or empty")
    timeout = values["timeout"]
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and 1 <= timeout <= 300
    need("timeout", number, "a number of seconds from 1 to 300")
    return Configuration(**{**values, "partitions": tuple(partitions)})


def is_path(value: object) -> bool:
    """Whether a value is an absolute path without `..` that Slurm takes as it stands."""
    return (
        isinstance(value, str)
        and bool(_PATH.fullmatch(value))
        and not {"..", "."} & set(value.split("/"))
        and "{" not in value
    )


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, which true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_word(value: object) -> bool:
    """Whether a value can be a name of Slurm's; one that begins with `-` cannot."""
    return isinstance(value, str) and bool(_WORD.fullmatch(value))
