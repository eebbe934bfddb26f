"""The daemons' files, all below the cluster's folder; as a careful site would have them where it matters."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .layout import NODES, PARTITIONS, Cluster
from .node import has_memory_groups

SLURM = """\
ClusterName={name}
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge_socket},cred_expire={again_after}

# Nobody but the operators sees what others do.
PrivateData=accounts,jobs,reservations,usage,users
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting_port}
AccountingStoragePass={munge_socket}
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu,gres/gpu:a100,gres/gpu:l40s
EnforcePartLimits=ALL
JobCompType=jobcomp/none

{memory}
JobAcctGatherType=jobacct_gather/linux
ProctrackType=proctrack/linuxproc
MpiDefault=none
PropagateResourceLimits=NONE
KillWait=10

SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
GresTypes=gpu
PriorityType=priority/multifactor
PriorityWeightQOS=100000
PriorityWeightAge=100
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# A demo's jobs start in half a second rather than in three.
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0,bf_interval=1,bf_max_job_test=2000

# A lost node is noticed in half a minute, and taken back when it is there again.
SlurmdTimeout=30
ReturnToService=2
GroupUpdateTime=2
SlurmdParameters=config_overrides

StateSaveLocation={folder}/controller
SlurmctldPidFile={folder}/controller/slurmctld.pid
SlurmdSpoolDir={folder}/nodes/%n
SlurmdPidFile={folder}/nodes/%n/slurmd.pid
MailProg=/bin/true
"""

#: How memory is held to what a job asked for, where a node can have a control group of its own (see node.py).
BY_THE_KERNEL = """\
# What takes more memory than its job asked for is killed by the kernel, and the job ends as "out of memory".
TaskPlugin=task/cgroup
JobAcctGatherFrequency=task=5"""
#: And where it cannot: Slurm calls such a job failed then.
BY_LOOKING = """\
# Nothing but a look at /proc every second tells here what takes more memory than its job asked for.
TaskPlugin=task/none
JobAcctGatherFrequency=task=1
JobAcctGatherParams=UsePss,OverMemoryKill"""

CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
ConstrainRAMSpace=yes
"""

#: Seconds that a job waits at least before it begins again, once it was put back. Slurm's own is 120.
AGAIN_AFTER = 10

ACCOUNTING = """\
AuthType=auth/munge
AuthInfo=socket={munge_socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={accounting_port}
SlurmUser=root
PidFile={folder}/accounting/slurmdbd.pid
PrivateData=accounts,jobs,reservations,usage,users
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def write(cluster: Cluster) -> None:
    """Write the files and make the folders, or what of them is not there yet. Needs root."""
    folder(cluster.folder, 0o755)
    for name, mode in (
        ("munge", 0o755),
        ("database", 0o700),
        ("accounting", 0o700),
        ("controller", 0o700),
        ("nodes", 0o755),
        ("held", 0o700),
    ):
        folder(cluster.folder / name, mode)
    for node in NODES:
        folder(cluster.folder / "nodes" / node.name, 0o755)
    key = cluster.folder / "munge/munge.key"
    if not key.exists():
        put(key, secrets.token_bytes(128), 0o600)
    memory = BY_THE_KERNEL if has_memory_groups() else BY_LOOKING
    values = {"again_after": AGAIN_AFTER, "memory": memory} | {
        name: getattr(cluster, name)
        for name in ("name", "folder", "controller_port", "accounting_port", "munge_socket")
    }
    put(cluster.slurm_conf, (SLURM.format(**values) + nodes(cluster) + partitions()).encode(), 0o644)
    put(cluster.folder / "gres.conf", gres(cluster).encode(), 0o644)
    put(cluster.folder / "cgroup.conf", CGROUP.encode(), 0o644)
    put(cluster.folder / "slurmdbd.conf", ACCOUNTING.format(**values).encode(), 0o600)


def nodes(cluster: Cluster) -> str:
    lines = []
    for node in NODES:
        gpus = f" Gres=gpu:{node.gpu_type}:{node.gpus}" if node.gpus else ""
        lines.append(
            f"NodeName={node.name} NodeHostname=localhost NodeAddr={node.address} "
            f"Port={cluster.node_port(node)} CPUs={cluster.cpus} RealMemory={cluster.memory_mb}{gpus}\n"
        )
    return "\n" + "".join(lines)


def partitions() -> str:
    return "".join(
        f"PartitionName={it.name} Nodes={','.join(it.nodes)} Default={'YES' if it.default else 'NO'} "
        f"PriorityTier={it.tier} PreemptMode={'REQUEUE' if it.preemptable else 'OFF'} "
        f"DefaultTime=60 MaxTime=2-00:00:00 State=UP\n"
        for it in PARTITIONS
    )


def gres(cluster: Cluster) -> str:
    return "AutoDetect=off\n" + "".join(
        f"NodeName={node.name} Name=gpu Type={node.gpu_type} File={cluster.gpus}/{node.name}/gpu{number}\n"
        for node in NODES
        for number in range(node.gpus)
    )


def folder(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)


def put(path: Path, content: bytes, mode: int) -> None:
    """Put a file in place whole, with its mode from the first byte on; untouched where it is the same."""
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    new.replace(path)
