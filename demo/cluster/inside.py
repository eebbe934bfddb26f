"""What a session in a container needs to reach this cluster, which it sees from outside of the machine."""

from __future__ import annotations

import re
from pathlib import Path

from .configuration import folder, put
from .layout import Cluster


def slurm_conf(cluster: Cluster) -> Path:
    """The file for sessions; a directory of its own, so that nothing else of the cluster's is seen."""
    return cluster.folder / "inside/slurm.conf"


def write(cluster: Cluster, address: str) -> None:
    """Write it: all daemons at `address`, where containers reach this machine."""
    text = cluster.slurm_conf.read_text()
    text = re.sub(r"^(SlurmctldHost=\w+)\(.*\)$", rf"\1({address})", text, flags=re.MULTILINE)
    text = re.sub(r"^(AccountingStorageHost=).*$", rf"\g<1>{address}", text, flags=re.MULTILINE)
    text = re.sub(r"\bNodeAddr=\S+", f"NodeAddr={address}", text)
    folder(slurm_conf(cluster).parent, 0o755)
    put(slurm_conf(cluster), text.encode(), 0o644)


def binds(cluster: Cluster) -> list[str]:
    """`c.ClusterAccess.binds`."""
    return [str(slurm_conf(cluster).parent), str(cluster.munge_socket.parent)]


def environment(cluster: Cluster) -> dict[str, str]:
    """`c.ClusterAccess.environment`; MPI over plain TCP, since nodes that share a machine look like one."""
    return {"SLURM_CONF": str(slurm_conf(cluster)), "MPIR_CVAR_CH4_NETMOD": "ofi"}


def in_image(image: str, *shared: str) -> list[str]:
    """`c.ClusterAccess.in_image`: bubblewrap, on an unpacked image with the facility's directories.

    `image` may have `{recipe}` in it; `shared` are the directories that stand at the same place inside.
    """
    words = ["/usr/bin/bwrap"]
    for name in ("usr", "opt", "etc"):
        words += ["--ro-bind", f"{image}/{name}", f"/{name}"]
    for name in ("bin", "lib", "lib64"):
        words += ["--symlink", f"usr/{name}", f"/{name}"]
    words += ["--dev-bind", "/dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp"]
    for path in shared:
        words += ["--bind", path, path]
    return words
