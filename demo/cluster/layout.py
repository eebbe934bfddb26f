"""Where a cluster's parts stand. Everything follows from its folder, its first port and its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Node:
    """One node. An address of its own tells sessions on different nodes apart, also on one machine."""

    name: str
    number: int
    gpu_type: str = ""
    gpus: int = 0

    @property
    def address(self) -> str:
        return f"127.0.21.{self.number}"


@dataclass(frozen=True)
class Partition:
    """One partition; jobs of a lower tier make room for those of a higher one."""

    name: str
    nodes: tuple[str, ...]
    tier: int
    preemptable: bool = False
    default: bool = False


NODES = (Node("n1", 1, "a100", 2), Node("n2", 2, "l40s", 2), Node("n3", 3), Node("n4", 4))
PARTITIONS = (
    Partition("main", ("n1", "n2", "n3", "n4"), tier=10, default=True),
    Partition("gpu", ("n1", "n2"), tier=10),
    Partition("spare", ("n1", "n2", "n3", "n4"), tier=1, preemptable=True),
)


@dataclass(frozen=True)
class Cluster:
    """One cluster. `folder` must be one that every account may enter; `port` is the first of `PORTS`.

    `cpus` and `memory_mb` are what each node says it has; the machine need not have it.
    """

    folder: Path
    port: int
    name: str = "visa"
    cpus: int = 4
    memory_mb: int = 8192

    #: How many ports a cluster takes, from its first one on.
    PORTS = 2 + len(NODES)

    @property
    def controller_port(self) -> int:
        return self.port

    @property
    def accounting_port(self) -> int:
        return self.port + 1

    def node_port(self, node: Node) -> int:
        return self.port + 1 + node.number

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def munge_socket(self) -> Path:
        return self.folder / "munge/munge.socket"

    @property
    def database_socket(self) -> Path:
        return self.folder / "database/mysqld.sock"

    @property
    def gpus(self) -> Path:
        """Folder of the made-up GPUs: `NODE/gpuNUMBER`."""
        return self.folder / "gpus"

    @property
    def gpu_device(self) -> str:
        """A GPU's device, as `c.SlurmBackend.gpu_device` names it."""
        return f"{self.gpus}/{{node}}/gpu{{index}}"

    @property
    def held(self) -> Path:
        """A file in here with a daemon's name keeps that daemon from being started again."""
        return self.folder / "held"

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find this cluster."""
        return {"SLURM_CONF": str(self.slurm_conf)}
