"""Who may compute on whose account, in Slurm's own book: one account a proposal, and a default one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from . import commands
from .configuration import put
from .layout import Cluster

DEFAULT = "visa"


@dataclass(frozen=True)
class Member:
    """Somebody who may compute: on the default account, and on those of the proposals named here.

    Slurm's accounting cannot hold every name: it writes a backtick for an apostrophe.
    """

    name: str
    proposals: tuple[str, ...] = ()
    qos: tuple[str, ...] = ("normal",)


#: Beside `normal`, which every cluster has: one that goes first, and one that runs one job at a time.
QOS = {"urgent": "Priority=1000", "single": "MaxJobsPerUser=1"}


def write(cluster: Cluster, members: Iterable[Member]) -> None:
    """Have Slurm's accounting know the cluster, its accounts and members; in an instant where it does.

    Entries of before stay. Needs slurmdbd; raises commands.CommandFailed with sacctmgr's own words.
    """
    members = list(members)
    proposals = sorted({name for member in members for name in member.proposals})
    calls = [["cluster", cluster.name]]
    calls += [["qos", name, settings] for name, settings in QOS.items()]
    for name in DEFAULT, ",".join(proposals):
        if name:
            calls.append(
                ["account", name, f"Cluster={cluster.name}", "Organization=visa", "Description=visa"]
            )
    calls += [_user(cluster, member) for member in members]
    mark = cluster.folder / "accounting/known"
    digest = hashlib.sha256(repr(calls).encode()).hexdigest().encode()
    if mark.exists() and mark.read_bytes() == digest:
        return
    for call in calls:
        _add(cluster, call)
    put(mark, digest, 0o600)


def add(cluster: Cluster, member: Member) -> None:
    """One more member, on accounts that are there already; nothing new is no error."""
    _add(cluster, _user(cluster, member))


def _user(cluster: Cluster, member: Member) -> list[str]:
    return [
        "user",
        f"Name={member.name}",
        f"Cluster={cluster.name}",
        f"Account={','.join([DEFAULT, *member.proposals])}",
        f"DefaultAccount={DEFAULT}",
        f"QOS={','.join(member.qos)}",
        "DefaultQOS=normal",
    ]


def _add(cluster: Cluster, call: list[str]) -> None:
    try:
        commands.run(cluster, "sacctmgr", "-i", "-Q", "add", *call)
    except commands.CommandFailed as refused:
        if "Nothing new added" not in str(refused) and "already exists" not in str(refused):
            raise
