"""Whether the GPUs that the settings name are there: a session never starts without the one it asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from visa_spawner.backends.gpus import GpuUnknown, share
from visa_spawner.backends.nodes import Node

from ..finding import Finding, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread


async def look(here: Installation) -> Look:
    """Devices and CDI files of the hub's own machine; of others the engine tells when a session starts."""
    wanted = {plan.gpu_type for _, _, plan in here.plans("container") if plan.gpus}
    for node in here.nodes:
        if node.gpus and node.is_local:
            found = await in_thread(lambda node=node: list(_missing(node)))
            for finding in found:
                yield finding
            if not found:
                yield fine(f"All {len(node.gpus)} GPUs are there.", node.name)
    unused = {gpu.type for node in here.nodes for gpu in node.gpus.values() if gpu.type}
    if wanted and "" not in wanted and unused - wanted:
        names = ", ".join(sorted(unused - wanted))
        yield warning(f"No plan asks for GPUs of the type {names}.", "Add a plan, or leave them to others.")


def _missing(node: Node) -> Iterator[Finding]:
    for key in node.gpus:
        try:
            given = share(node, [key])
        except GpuUnknown as error:
            what = f"GPU {key}: {worded(error)}; sessions that get it do not start."
            mend = (
                "`nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, and after each update of the"
                " driver."
            )
            yield wrong(what, mend, node.name)
            continue
        for path, _ in given.devices:
            if not _is_device(path):
                what = f"GPU {key}: there is no device {path}; sessions that get it do not start."
                mend = "See `nvidia-smi` and `lsmod`: the driver may be gone after a kernel's update."
                yield wrong(what, mend, node.name)


def _is_device(path: str) -> bool:
    try:
        return stat.S_ISCHR(os.stat(path).st_mode) or stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False
