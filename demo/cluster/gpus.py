"""Made-up GPUs of the nodes: character devices that behave like /dev/null."""

from __future__ import annotations

import os
import stat

from .layout import NODES, Cluster

DEV_NULL = os.makedev(1, 3)


def make(cluster: Cluster) -> None:
    """Make the devices, where they are not there yet. Needs root."""
    for node in NODES:
        folder = cluster.gpus / node.name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(node.gpus):
            path = folder / f"gpu{number}"
            if not path.exists():
                os.mknod(path, 0o666 | stat.S_IFCHR, DEV_NULL)
                path.chmod(0o666)
