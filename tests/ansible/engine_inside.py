"""A machine of the tests whose own Podman runs: it may mount, and holds containers to limits below its own.

Such a container is not privileged: it sees no device of the machine around it. It has the images of that
one's Podman, read-only, in place of building them.
"""

from __future__ import annotations

from pathlib import Path

from .machines import Machine, podman

#: Where the machine around it has its images, and where this one sees them.
AROUND, SEEN = "{{.Store.GraphRoot}}", "/images-around"
V1 = "/sys/fs/cgroup/systemd"

#: With cgroups v1 a container sees its own part of each controller read-only, and systemd's tree twice, of
#: which runc would take the wrong one.
CGROUPS = f"""
set -e
for one in cpu cpuacct cpuset memory devices freezer blkio pids; do
    [ ! -d /sys/fs/cgroup/$one ] || mount -o remount,bind,rw /sys/fs/cgroup/$one
done
if [ -d {V1} ]; then
    mkdir /run/whole && mount --bind {V1} /run/whole
    umount --lazy {V1} && umount --lazy {V1}
    mount --bind /run/whole {V1} && umount /run/whole && rmdir /run/whole
fi
"""
#: The last of all settings, for such a machine alone: what images/containers.conf has for the one around it.
SETTINGS = f"""
mkdir -p /etc/containers/containers.conf.d
cat > /etc/containers/storage.conf <<END
[storage]
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
[storage.options]
additionalimagestores = ["{SEEN}"]
END
cat > /etc/containers/containers.conf.d/zz-inside.conf <<END
[containers]
cgroupns = "private"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
END
"""


def may_mount() -> list[str]:
    """Options of a machine that mounts, so that its services' namespaces are in force.

    Controllers that nothing here uses are covered: systemd would else mount them, and make their trees anew.
    """
    options = ["--cap-add", "SYS_ADMIN,SYS_PTRACE", "--security-opt", "seccomp=unconfined"]
    options += ["--security-opt", "unmask=/proc/sys"]
    if Path(V1).is_dir():
        known = [line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:]]
        unused = [one for one in known if not Path("/sys/fs/cgroup", one).exists()]
        names = {"net_cls,net_prio" if one.startswith("net_") else one for one in unused}
        options += [word for name in sorted(names) for word in ("--tmpfs", f"/sys/fs/cgroup/{name}")]
    return options


def has_engine() -> list[str]:
    """Options of a machine that is to have an engine: a disk of its own, and the images of this one."""
    around = podman("info", "--format", AROUND).stdout.strip()
    images = f"type=bind,src={around},dst={SEEN},ro=true,bind-nonrecursive=true"
    return ["--volume", "/var/lib/containers", "--mount", images]


def prepare(machine: Machine) -> None:
    """What the engine's settings and cgroups need there; once a boot."""
    machine.run(CGROUPS + SETTINGS)
