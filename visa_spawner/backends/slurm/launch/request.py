"""What may be asked: every field named, typed and bounded; whatever else there is refuses the request."""

from __future__ import annotations

import json
import os
import re
import select
import time
from dataclasses import dataclass

from .configuration import Configuration, is_path, is_whole, is_word
from .refusals import Refused

#: Bytes of a request, and seconds it may take to come.
LARGEST = 1_000_000
PATIENCE = 10.0

_MARK = re.compile(r"visa:([a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?):([0-9a-f]{32})")
_TOKEN = re.compile(r"[A-Za-z0-9_.~=-]{8,512}")
#: Of an account's name only what no database has: it is looked up, and never an argument of a command.
_USERNAME = re.compile(r"[^\x00-\x1f\x7f:/]{1,256}")
_HOME = re.compile(r"/[^\x00-\x1f\x7f:]{0,1000}")

#: What comes with each `do`, beside `do` and `person`.
FIELDS = {
    "submit": ("mark", "job", "plan", "token"),
    "hold": ("mark", "job", "image"),
    "cancel": ("job",),
    "deliver": ("mark", "token", "run"),
    "log": ("mark", "lines"),
    "forget": ("mark",),
    "extend": ("job", "minutes"),
}
#: All that may be asked for the account that holds seats, whatever its number.
_OF_SEATS = ("hold", "cancel", "forget")
#: What of these may be missing.
OPTIONAL = {"deliver": ("run",)}
PLAN = {
    "runtime": str,
    "image": str,
    "command": list,
    "person": dict,
    "binds": list,
    "short_ways": dict,
    "texts": dict,
    "environment": dict,
    "gpus": int,
    "gpu_device": str,
    "gpu_common": list,
    "minutes": int,
    "extra_binds": list,
    "tmp_bytes": int,
    "listen": str,
}
_JOB_NAMES = ("partition", "account", "qos", "reservation", "gpu_type")
#: The largest sensible number of each, against slips and overflow.
_JOB_NUMBERS = {
    "cpus": 100_000,
    "memory_mb": 1_000_000_000,
    "gpus": 1000,
    "nodes": 10_000,
    "tasks": 1_000_000,
    "minutes": 5_256_000,
}
_MOST_NODES = 1000
_LARGEST_ID = 2**32 - 2


@dataclass(frozen=True)
class Request:
    """One request that has passed; what it has no use for is empty. `hub` and `nonce` are the mark's."""

    do: str
    username: str
    uid: int
    gid: int
    mark: str = ""
    hub: str = ""
    nonce: str = ""
    image: str = ""
    job: dict | None = None
    job_id: int = 0
    plan: str = ""
    token: str = ""
    run: int = -1
    lines: int = 0
    minutes: int = 0


def read(descriptor: int) -> bytes:
    """All of the request; raises Refused when it is too large or does not come."""
    deadline = time.monotonic() + PATIENCE
    parts, length = [], 0
    while True:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise Refused("request", "the request did not come to its end in time")
        part = os.read(descriptor, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
        length += len(part)
        if length > LARGEST:
            raise Refused("request", f"the request is larger than {LARGEST} bytes")


def parse(text: bytes, allowed: Configuration) -> Request:
    """The request that a text is; raises Refused and names what is wrong, never with a person's own words."""
    values = _object(text)
    do = values.get("do")
    if not isinstance(do, str) or do not in FIELDS:
        raise Refused("request", "do is none of " + ", ".join(sorted(FIELDS)))
    wanted = {"do", "person", *FIELDS[do]}
    _exactly(values, wanted, "the request", optional=OPTIONAL.get(do, ()))
    found = _person(values["person"], allowed, do)
    if "mark" in wanted:
        mark = values["mark"]
        parts = _MARK.fullmatch(mark) if isinstance(mark, str) else None
        _need(parts is not None, "mark")
        found.update(mark=mark, hub=parts.group(1), nonce=parts.group(2))
        if allowed.hub_id and found["hub"] != allowed.hub_id:
            raise Refused("not_allowed", "the mark is another hub's")
    if "token" in wanted:
        _need(isinstance(values["token"], str) and bool(_TOKEN.fullmatch(values["token"])), "token")
        found["token"] = values["token"]
    if do == "submit":
        found.update(job=_job(values["job"], allowed), plan=_plan(values["plan"], found))
    elif do == "hold":
        _need(values["image"] == "" or is_path(values["image"]), "image")
        found.update(job=_job(values["job"], allowed), image=values["image"])
    elif "job" in wanted:
        found["job_id"] = _number(values, "job", 1, _LARGEST_ID)
    if "lines" in wanted:
        found["lines"] = _number(values, "lines", 1, 1000)
    if "minutes" in wanted:
        found["minutes"] = _number(values, "minutes", 1, _JOB_NUMBERS["minutes"])
    if "run" in values:
        found["run"] = _number(values, "run", 0, 1_000_000)
    return Request(do=do, **found)


def _object(text: bytes) -> dict:
    def once(pairs: list) -> dict:
        made = dict(pairs)
        if len(made) != len(pairs):
            raise ValueError("a field stands there twice")
        return made

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        values = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_constant=no_constant)
    except (ValueError, RecursionError) as error:
        # Not its text: that can hold what the request holds.
        raise Refused("request", f"the request is no JSON ({type(error).__name__})") from None
    if not isinstance(values, dict):
        raise Refused("request", "the request is no object")
    return values


def _exactly(values: object, wanted: set, what: str, optional: tuple = ()) -> None:
    if not isinstance(values, dict):
        raise Refused("request", f"{what} is no object")
    if set(values) - wanted:
        raise Refused("request", f"{what} has a field that is not known")
    for name in sorted(wanted - set(values) - set(optional)):
        raise Refused("request", f"{what} lacks {name}")


def _need(fine: bool, name: str) -> None:
    if not fine:
        raise Refused("request", f"{name} is not as it must be")


def _number(values: dict, name: str, smallest: int, largest: int) -> int:
    value = values[name]
    _need(is_whole(value) and smallest <= value <= largest, name)
    return value


def _person(values: object, allowed: Configuration, do: str) -> dict:
    _exactly(values, {"username", "uid", "gid", "home"}, "person")
    username = values["username"]
    _need(isinstance(username, str) and bool(_USERNAME.fullmatch(username)), "person.username")
    _need(isinstance(values["home"], str) and bool(_HOME.fullmatch(values["home"])), "person.home")
    uid = _number(values, "uid", 0, _LARGEST_ID)
    gid = _number(values, "gid", 0, _LARGEST_ID)
    keeps_seats = allowed.seats_user != "" and username == allowed.seats_user
    if do == "hold" and not keeps_seats:
        raise Refused("not_allowed", "seats are not this account's")
    if keeps_seats and do not in _OF_SEATS:
        raise Refused("not_allowed", "this account holds seats and has no sessions")
    # A service account has a number below those of people, as a rule, and no session.
    if (uid < allowed.min_uid and not (keeps_seats and uid > 0)) or gid == 0:
        raise Refused("person", f"accounts below uid {allowed.min_uid}, and group 0, have no sessions")
    return {"username": username, "uid": uid, "gid": gid}


def _job(values: object, allowed: Configuration) -> dict:
    _exactly(values, {*_JOB_NAMES, *_JOB_NUMBERS, "exclude"}, "job", optional=("exclude",))
    exclude = values.get("exclude", [])
    fine = isinstance(exclude, list) and len(exclude) <= _MOST_NODES and all(map(is_word, exclude))
    _need(fine, "job.exclude")
    for name in _JOB_NAMES:
        _need(values[name] == "" or is_word(values[name]), f"job.{name}")
    for name, largest in _JOB_NUMBERS.items():
        _number(values, name, 0, largest)
    if values["partition"]:
        if allowed.partitions and values["partition"] not in allowed.partitions:
            raise Refused("not_allowed", f"partition {values['partition']} is not for sessions")
    elif allowed.partitions:
        raise Refused("not_allowed", "the partition must be named")
    return dict(values)


def _plan(values: object, person: dict) -> str:
    """The plan as the node program will read it; that one, which runs as the person, looks closer."""
    _exactly(values, set(PLAN), "plan")
    for name, kind in PLAN.items():
        fine = is_whole(values[name]) if kind is int else isinstance(values[name], kind)
        _need(fine, f"plan.{name}")
    for name in ("username", "uid", "gid"):
        _need(values["person"].get(name) == person[name], f"plan.person.{name}")
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))
