"""Whether the cluster answers, can hold the plans, and lets sessions be submitted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from visa_spawner.backends.results import lacks
from visa_spawner.backends.slurm.clients.base import SlurmSilent
from visa_spawner.backends.slurm.clients.commands import CommandsClient
from visa_spawner.backends.slurm.launch import configuration
from visa_spawner.backends.slurm.launcher import Launcher, LauncherRefused, LauncherSilent
from visa_spawner.backends.slurm.seen import Node
from visa_spawner.profiles.model import Plan, Profile

from ..finding import Finding, fine, unchecked, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

_RUN_ON = "sessions there are shown as unknown and run on"
#: Releases of Slurm that a command may be older than its controller.
_BEHIND = 2


async def look(here: Installation) -> Look:
    """The commands, the controller, partitions and nodes, the launcher, the images."""
    plans = here.plans("slurm")
    if not plans:
        return
    settings = here.cluster
    commands = CommandsClient(settings.commands_dir, settings.slurm_conf, limit=here.limit * 0.4)
    try:
        own = await in_thread(commands.version)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        mend = "`apt install slurm-client`, or set c.SlurmBackend.commands_dir."
        what = f"Slurm's commands cannot be used on this machine: {worded(error)}."
        yield wrong(what, mend, stops=True)
        return
    launcher = here.limit * 0.4
    async for finding in _launcher(here, launcher):
        yield finding
    try:
        nodes = await commands.nodes()
        theirs = await commands.controller()
    except SlurmSilent as error:
        yield wrong(f"Slurm does not answer ({worded(error)}); {_RUN_ON}.", _mend_silence(str(error)))
        return
    faults = [*_versions(own, theirs), *_partitions(nodes, plans, settings.partition), *_images(here, plans)]
    for finding in faults:
        yield finding
    if not faults:
        yield fine(f"Slurm {theirs} answers with {len(nodes)} nodes, and every plan fits one.")


def _mend_silence(text: str) -> str:
    if re.search(r"munge|authentication|credential", text, re.IGNORECASE):
        return "`systemctl status munge` here and on the controller; the key and the clock must be the same."
    return (
        "`scontrol ping`; on the controller `systemctl status slurmctld`. The hub sees it come back by"
        " itself."
    )


def _versions(own: str, theirs: str) -> Iterator[Finding]:
    mine, controller = _release(own), _release(theirs)
    if mine > controller:
        yield wrong(
            f"Slurm's commands here ({own}) are newer than the controller ({theirs}), which Slurm does not"
            " allow.",
            "Install the controller's version here, or set c.SlurmBackend.commands_dir to where it is.",
        )
    elif _apart(mine, controller) > _BEHIND:
        yield warning(
            f"Slurm's commands here ({own}) are more than two releases older than the controller ({theirs}).",
            "Install the controller's version here before its next upgrade.",
        )


def _release(version: str) -> tuple[int, int]:
    numbers = [int(part) for part in re.findall(r"\d+", version)[:2]]
    return (*numbers, 0, 0)[:2]


def _apart(older: tuple[int, int], newer: tuple[int, int]) -> int:
    """Releases between two, by months: there are two, lately, three in two years."""
    return ((newer[0] - older[0]) * 12 + newer[1] - older[1]) // 9


def _partitions(nodes: list[Node], plans: list[tuple[Profile, str, Plan]], usual: str) -> Iterator[Finding]:
    known = {name for node in nodes for name in node.partitions}
    default = next((node.default_partition for node in nodes if node.default_partition), "")
    for profile, name, plan in plans:
        partition = plan.partition or usual or default
        if partition not in known:
            what = f"The plan {name} names the partition {partition!r}, which this account sees none of."
            mend = f"Known: {', '.join(sorted(known)) or 'none'}. Correct the plan and restart the hub."
            yield wrong(what, mend, profile.name)
            continue
        there = [node for node in nodes if partition in node.partitions]
        able = [node for node in there if _holds(node, plan)]
        if not able:
            what = (
                f"The plan {name} is larger than every node of the partition {partition}: it can never start."
            )
            yield wrong(what, "Make the plan smaller, and restart the hub.", profile.name)
        elif not any(node.open and partition not in node.closed_partitions for node in able):
            what = f"All nodes that could hold the plan {name} are closed: its sessions wait."
            yield warning(what, f"`sinfo -R -p {partition}` says why.", profile.name)


def _holds(node: Node, plan: Plan) -> bool:
    gpus = node.gpus.get(plan.gpu_type, 0) if plan.gpu_type else sum(node.gpus.values())
    return node.cpus >= plan.cpus and node.memory >= plan.memory and gpus >= plan.gpus


def _images(here: Installation, plans: list[tuple[Profile, str, Plan]]) -> Iterator[Finding]:
    if here.cluster.runtime == "plain":
        return
    template = here.cluster.image_template
    for recipe in sorted({profile.image for profile, _, _ in plans}):
        if lacks(template, recipe):
            path = Path(template.format(recipe=recipe))
            what = f"There is no image {path} for the cluster."
            mend = (
                f"`python -m images.all {path.parent} {recipe} --as tree` (docs/operators/images.md has the"
                " forms)."
            )
            yield wrong(what, mend, recipe)


async def _launcher(here: Installation, seconds: float) -> Look:
    """Asks for nothing: its refusal proves that sudo lets it run, and that it can read its settings."""
    launcher = Launcher(list(here.cluster.launcher), timeout=seconds, at_once=1)
    try:
        await launcher.ask({}, "look")
    except LauncherRefused as error:
        if error.kind != "request":
            yield wrong(
                f"No session can be submitted, since the launcher does not run: {worded(error)}.",
                "See docs/operators/slurm.md, 'The rule for sudo' and '/etc/visa/slurm.json'; `sudo -l`"
                " lists the rule.",
            )
            return
    except LauncherSilent as error:
        yield unchecked(f"{worded(error)}.", "See whether sudo asks a directory service that is away.")
        return
    for finding in await in_thread(lambda: list(_allowed(here))):
        yield finding


def _allowed(here: Installation) -> Iterator[Finding]:
    """What the launcher's own settings would refuse; one that was made for another place keeps them there."""
    if not Path(configuration.PLACE).exists():
        return
    try:
        allowed = configuration.read(configuration.PLACE)
    except configuration.Unusable as error:
        yield wrong(f"No session can be submitted: {worded(error)}.", "Correct that file.")
        return
    if allowed.hub_id and allowed.hub_id != here.cluster.hub_id:
        what = (
            f"{configuration.PLACE} serves the hub {allowed.hub_id}, and this one is {here.cluster.hub_id}."
        )
        yield wrong(what, "Write the value of c.SlurmBackend.hub_id there; never change that one.")
    for profile, name, plan in here.plans("slurm"):
        partition = plan.partition or here.cluster.partition
        if allowed.partitions and partition not in allowed.partitions:
            what = (
                f"The launcher refuses the plan {name}: its partition {partition!r} is not in"
                f" {configuration.PLACE}."
            )
            yield wrong(what, "Add it to `partitions` there, or correct the plan.", profile.name)
