"""The demo's cluster as VISA has it: who may compute there, how the hub starts jobs, how it all ends."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace

from visa_spawner.backends.slurm import programs

from .cluster import accounts, commands, configuration, daemons, inside, people
from .cluster.layout import Cluster
from .facility.beamtimes import beamtimes
from .facility.recipe import Recipe
from .machine import say
from .site import Site


def cluster(site: Site) -> Cluster:
    return Cluster(site.cluster, site.cluster_port)


def prepare(site: Site) -> None:
    """Make what is not there yet: files, accounts of this machine, launcher and node program.

    Raises RuntimeError in words.
    """
    where = cluster(site)
    daemons.remove_leftovers(where)
    daemons.prepare(where)
    inside.write(where, site.bridge)
    lend(site.hub_id, _accounts(site))
    folder = site.launcher.parent
    programs.write(folder, str(folder / "slurm.json"))
    # Everybody may make a directory of their own there, and nobody may take another's away.
    configuration.folder(folder / "spool", 0o1777)
    settings = programs.EXAMPLE | {
        "slurm_conf": str(where.slurm_conf),
        "node_program": str(folder / programs.NODE),
        "spool": f"{folder}/spool/{{uid}}",
        "extend": True,
        "hub_id": site.hub_id,
    }
    configuration.put(folder / "slurm.json", json.dumps(settings, indent=1).encode(), 0o644)


def lend(owner: str, known: list[people.Account]) -> None:
    """Make them accounts of this machine; whoever's name or number is somebody else's here goes without."""
    while True:
        gids = {gid for account in known for gid in account.gids}
        try:
            return people.give(owner, known, {people.team(gid): gid for gid in gids})
        except people.NameTaken as taken:
            say(f"Careful: {taken}. The demo's cluster does without it")
            known = [
                replace(it, gids=tuple(gid for gid in it.gids if people.team(gid) != taken.name))
                for it in known
                if it.name != taken.name
            ]


def members(site: Site) -> list[accounts.Member]:
    """Everybody, on the accounts of the proposals that they may see for more than open data."""
    recipe = Recipe()
    proposals = {it.gid: it.experiment.proposal for it in beamtimes(site.data, recipe.seed, recipe.proposals)}
    return [
        accounts.Member(account.name, tuple(proposals[gid] for gid in account.gids), ("normal", "urgent"))
        for account in _accounts(site)
    ]


def end_jobs(site: Site) -> None:
    """Cancel what is left in the queue, and wait until it is over, at most a quarter of a minute."""
    where = cluster(site)
    for _ in range(60):
        try:
            waiting = commands.run(where, "squeue", "-h", "-o", "%i", timeout=10).split()
            if not waiting:
                return
            commands.run(where, "scancel", *waiting, timeout=10)
        except (commands.CommandFailed, subprocess.TimeoutExpired):
            return  # a cluster that does not answer is ended with all its nodes
        time.sleep(0.25)


def take_away(site: Site) -> None:
    """Remove what stands outside of the demo's folders."""
    people.take_away(site.hub_id)
    daemons.remove_leftovers(cluster(site))


def _accounts(site: Site) -> list[people.Account]:
    known = json.loads((site.run / "accounts.json").read_text())
    return [
        people.Account(
            name,
            claims["uidNumber"],
            claims["gidNumber"],
            claims["homeDirectory"],
            tuple(gid for gid in claims["gidNumbers"] if gid != claims["gidNumber"]),
        )
        for name, claims in known.items()
    ]
