"""A facility's own Slurm, as it is before VISA comes: Debian's packages, controller and node on one machine.

With accounts on each machine, as a directory service has them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from demo.facility.people import PEOPLE

from .machines import Machine, podman

NODE = "cn001"
PLACE = "/etc/slurm/slurm.conf"
#: Debian's own account and folders. What a container has no part in (cgroups, limits of memory) is left out.
CONF = """\
ClusterName=example
SlurmctldHost={host}({address})
SlurmUser=slurm
AuthType=auth/munge
StateSaveLocation=/var/lib/slurm/slurmctld
SlurmdSpoolDir=/var/lib/slurm/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
EnforcePartLimits=ALL
ReturnToService=2
KillWait=10
MailProg=/bin/true
PrivateData=jobs,nodes,usage
SchedulerParameters=sched_interval=1,sched_min_interval=100000,batch_sched_delay=0
NodeName={node} NodeHostname={host} NodeAddr={address} CPUs=4 RealMemory=8192
PartitionName=main Nodes={node} Default=YES MaxTime=1-0 State=UP
"""


def know_people(machine: Machine) -> None:
    """The same accounts everywhere, with homes that are there already."""
    for one in PEOPLE:
        machine.run(
            f"groupadd -g {one.gid} {one.username}"
            f" && useradd -M -u {one.uid} -g {one.gid} -d /home/{one.username} {one.username}"
        )


@dataclass
class Cluster:
    """The cluster on its one machine; its commands are run there, by root."""

    machine: Machine

    @property
    def conf(self) -> str:
        return CONF.format(host=self.machine.name, address=self.machine.address, node=NODE)

    def set_up(self) -> None:
        self.machine.run("mkdir -p /etc/slurm")
        podman("exec", "-i", self.machine.name, "tee", PLACE, stdin=self.conf.encode())
        self.machine.install("slurmctld", "slurmd", "slurm-client", "munge")
        self.machine.run("install -d -o slurm -g slurm -m 700 /var/lib/slurm/slurmctld /var/lib/slurm/slurmd")
        self.machine.run("systemctl restart munge slurmctld slurmd")
        self.machine.until("sinfo -h -o %T | grep -q idle", 60)

    @property
    def key(self) -> str:
        """munge's, as an operator is told to print it."""
        return self.machine.said("base64 -w0 /etc/munge/munge.key")

    def jobs(self) -> list[str]:
        """Those that are not over: `ID OWNER STATE`."""
        return self.machine.said("squeue -h -o '%i %u %T'").splitlines()

    def until_empty(self, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while left := self.jobs():
            assert time.monotonic() < end, left
            time.sleep(0.5)  # between two looks, up to `end`

    def process(self) -> str:
        """The one session's own process, as the node counts."""
        return self.machine.said("pgrep -u alice -f 'bin/visa-session' | tail -n 1")

    def inside(self, script: str, check: bool = True):
        """Run a script among the session's own mounts, as its person."""
        enter = f"nsenter -m -t {self.process()} setpriv --reuid=20001 --regid=20001 --clear-groups"
        return self.machine.run(f"{enter} sh -c '{script}'", check=check)
