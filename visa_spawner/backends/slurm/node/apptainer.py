"""Apptainer: enters the image's tree by its own means, with the same binds."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace

from visa_session.contract import EXIT_BAD_INFO, EXIT_GPU_MISSING

from ...accounts import group, passwd
from . import namespace, passport, squash
from .namespace import MS_NODEV, MS_NOSUID, MS_RDONLY
from .plan import NotFit, Plan
from .programs import find
from .root import SMALLEST_TMP, node_text, reach, slurm_account, unique, write

#: What it adds to the environment of all that it starts, and a terminal must not have.
_OWN = ("PS1", "PROMPT_COMMAND", "LD_LIBRARY_PATH")
#: Whether the session sees nothing of the node but what its plan names.
INSIDE = True


def command(plan: Plan, place: str, devices: list[str], environment: dict[str, str]):
    """The argument list and environment to execute; raises NotFit."""
    for path in devices:
        if not path.startswith("/dev/"):
            # It mounts everything else so that a device in it is none.
            raise NotFit(EXIT_GPU_MISSING, f"Apptainer cannot give the GPU {path}: it is not below /dev.")
    image, mounts = _prepare(plan, place)
    mounts += [mount(path, path) for path in devices]
    return arguments(find("apptainer"), plan, image, mounts), {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "USER": plan.person.username,
        "HOME": plan.person.home,
        # It would change into a directory of its own making otherwise, and keep a cache there.
        "APPTAINER_CACHEDIR": f"{place}/cache",
        **{f"APPTAINERENV_{name}": value for name, value in environment.items() if name != "HOME"},
    }


def arguments(program: str, plan: Plan, image: str, mounts: list[str]) -> list[str]:
    """`--containall`: /dev, processes and environment of its own; nothing is mounted but what is named."""
    found = [program, "--silent", "exec", "--userns", "--containall", "--no-privs", "--no-eval"]
    found += ["--no-mount", "home,cwd,tmp,hostfs,bind-paths", "--pwd", "/"]
    for one in mounts:
        found += ["--mount", one]
    # It would take the home from the node's own accounts.
    inside = ["/usr/bin/env", f"HOME={plan.environment.get('HOME', plan.person.home)}"]
    for name in _OWN:
        if name not in plan.environment:
            inside[1:1] = ["-u", name]
    return [*found, image, *inside, *plan.command]


def mount(source: str, target: str, read_only: bool = False) -> str:
    """One `--mount`, quoted as it must be where a path has a comma."""
    line = io.StringIO()
    fields = ["type=bind", f"source={source}", f"destination={target}", *(["ro"] if read_only else [])]
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _prepare(plan: Plan, place: str) -> tuple[str, list[str]]:
    """The image's tree, and what is mounted: raw data read-only down to the last mount, which `ro` alone is
    not, and what is the session's own.
    """
    size = max(plan.tmp_bytes, SMALLEST_TMP)
    held = reach([plan.image, *(bind.path for bind in plan.binds + plan.extra_binds)], plan.person.home)
    try:
        namespace.enter()
        namespace.tmpfs(place, "mode=0755,size=16m")
        plan, mounts = passport.corrected(replace(plan, image=squash.tree(plan.image, place))), []
        for bind in unique(plan.binds + plan.extra_binds):
            if bind.read_only:
                namespace.bind(bind.path, bind.path, MS_RDONLY | MS_NOSUID | MS_NODEV)
            mounts.append(mount(bind.path, bind.path, bind.read_only))
        for name, target in (("tmp", "/tmp"), ("var-tmp", "/var/tmp"), ("shm", "/dev/shm")):
            os.mkdir(f"{place}/{name}", 0o755)
            namespace.tmpfs(f"{place}/{name}", f"mode=1777,size={size}")
            mounts.append(mount(f"{place}/{name}", target))
        texts = {"passwd": passwd(plan.person, slurm_account()), "group": group(plan.person)}
        texts["hosts"] = node_text("/etc/hosts")
        for name, text in texts.items():
            with open(f"{place}/{name}", "w") as file:
                file.write(text)
            mounts.append(mount(f"{place}/{name}", f"/etc/{name}", True))
        for top in sorted({link.split("/")[1] for link in (*plan.short_ways, *plan.texts)}):
            os.mkdir(f"{place}/ways-{top}", 0o755)
            mounts.append(mount(f"{place}/ways-{top}", f"/{top}", True))
        for link, target in plan.short_ways.items():
            path = f"{place}/ways-{link[1:]}"
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            os.symlink(target, path)
        for link, text in plan.texts.items():
            write(f"{place}/ways-{link[1:]}", text)
    except OSError as error:
        raise NotFit(EXIT_BAD_INFO, f"The session could not be prepared on this node: {error}.") from error
    finally:
        for descriptor in held:
            os.close(descriptor)
    return plan.image, mounts
