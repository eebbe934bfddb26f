"""What a session holds of experiments' data, and what one more or one less changes of its directories."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from types import SimpleNamespace

from visa_session.contract import ExperimentInfo

from ..session import StartRefused
from .binds import Wanted, short_ways


def links_to(held: ExperimentInfo) -> dict[str, str]:
    """The short ways to an experiment's data and to its chosen datasets, as they were at the start."""
    datasets = [
        SimpleNamespace(
            experiment=held.id,
            name=one.name,
            path=one.path if one.path.startswith("/") else f"{held.raw}/{one.path}",
        )
        for one in held.datasets
    ]
    return short_ways([held], datasets)


def to_add(
    new: ExperimentInfo, held: Iterable[ExperimentInfo], home: str, others: Collection[str] = ()
) -> list[Wanted]:
    """The directories to mount for one more experiment, outer ones first; those that are there are left out.

    `others` are the places of the operator's own binds. Raises StartRefused where a mount would hide what
    the session has, or leave raw data writable.
    """
    there = dict.fromkeys(others, True) | _directories(held, home)
    found = []
    for path, read_only in _of(new).items():
        if read_only and not there.get(path, True):
            raise _not_beside(new, "its raw data are where this session may write")
        if any(_is_inside(other, path) for other in there):
            raise _not_beside(new, "its folder holds one that this session has already")
        if path not in there:
            found.append(Wanted(path, read_only, f"experiment {new.id}"))
    return sorted(found, key=lambda one: one.path.split("/"))


def to_remove(
    old: ExperimentInfo, rest: Iterable[ExperimentInfo], home: str, others: Collection[str] = ()
) -> list[str]:
    """The mounts to take away with an experiment: those that nothing else in the session needs.

    Raises StartRefused where what stays is mounted below one of them.
    """
    stays = _directories(rest, home)
    gone = [path for path in _of(old) if path not in stays and path not in others]
    for path in gone:
        if any(_is_inside(other, path) for other in stays):
            words = f"the folder of {old.id} holds another experiment's; take that one away first"
            raise StartRefused(words, field="experiment", status=409, reason="nested")
        if any(_is_inside(other, path) for other in others):
            words = f"the folder of {old.id} holds one of the facility's; start a new session without it"
            raise StartRefused(words, field="experiment", status=409, reason="nested")
    return gone


def _of(experiment: ExperimentInfo) -> dict[str, bool]:
    """An experiment's directories, and whether each is read-only; that wins where both are one."""
    found = {experiment.processed: False} if experiment.processed else {}
    return {**found, experiment.raw: True}


def _directories(experiments: Iterable[ExperimentInfo], home: str) -> dict[str, bool]:
    found = {home: False}
    for experiment in experiments:
        for path, read_only in _of(experiment).items():
            found[path] = read_only or found.get(path, False)
    return found


def _is_inside(path: str, other: str) -> bool:
    return path.startswith(other.rstrip("/") + "/")


def _not_beside(new: ExperimentInfo, why: str) -> StartRefused:
    words = f"{new.id} cannot be added while this session runs: {why}. Start a new session with both"
    return StartRefused(words, field="experiment", status=409, reason="nested")
