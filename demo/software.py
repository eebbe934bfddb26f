"""The images of the demo's profiles, made beside the running site: each profile can be started once its own
is there."""

from __future__ import annotations

import asyncio
import os
import sys

from images.recipe import BASE, names

from . import machines
from .machine import say
from .processes import die_with_parent
from .site import ROOT, Site

#: Which recipes to make, as words; all without it. The tests name those that they need.
VARIABLE = "VISA_DEMO_IMAGES"
FIRST = "general"


def wanted() -> list[str]:
    """The recipes besides base, which is there before the site starts; what suits all data comes first."""
    chosen = os.environ.get(VARIABLE)
    found = [name for name in names() if name != BASE and (chosen is None or name in chosen.split())]
    return sorted(found, key=lambda name: name != FIRST)


async def prepare(site: Site) -> None:
    """Build each image and unpack it for the cluster's nodes, one after the other, behind all else.

    One that cannot be built is said, with where the log is; the others go on.
    """
    for name in wanted():
        for command in (
            ["images.build", name, "--jobs", "1"],
            # The demo's nodes are all on this machine, where a tree that is used is seen.
            ["images.unpack", name, str(site.images), "--keep-hours", "0"],
            *(
                [["images.disk", name, str(site.images)]]
                if name == machines.PROFILE and machines.offered()
                else []
            ),
        ):
            if await _run(site, command):
                say(f"The software of {name} cannot be prepared: see {_log(site)}")
                break
        else:
            say(f"The software of {name} is there")


def _log(site: Site) -> str:
    return str(site.run / "logs/software.log")


async def _run(site: Site, command: list[str]) -> int:
    with open(os.open(_log(site), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        process = await asyncio.create_subprocess_exec(
            *("nice", "-n", "15", sys.executable, "-m", *command),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,
            start_new_session=True,
        )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        # The engine's own process ends with the one that reads what it says.
        os.killpg(process.pid, 15)
        await process.wait()
        raise
