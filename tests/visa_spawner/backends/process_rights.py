"""What the kernel says that the processes of a container may do, and what they see."""

from pathlib import Path


def rights(engine, container):
    """Of each process of a container, the first one first, what the kernel says it is and may."""
    first = engine.client.inspect_container(container)["State"]["Pid"]
    found = []
    for pid in [first, *_children(first)]:
        lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        kept = ("Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "Umask")
        found.append(
            {name: value.split() for name, value in lines.items() if name in kept or name[:3] == "Cap"}
        )
    return found


def _children(pid):
    direct = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [found for child in direct for found in (int(child), *_children(int(child)))]


def limits(engine, container):
    """What the engine holds it to, as the kernel has it."""
    files = ("memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us", "pids/pids.max")
    files += ("memory.max", "cpu.max", "pids.max")
    script = f"cd /sys/fs/cgroup; cat {' '.join(files)} 2>/dev/null"
    return engine.run_inside(container, ["sh", "-c", script], user="5001")[1].split()


def mounts(engine, container):
    """What is mounted of a session's own, and how; pinned data have two of the options before."""
    first = engine.client.inspect_container(container)["State"]["Pid"]
    lines = [line.split(" ") for line in Path(f"/proc/{first}/mountinfo").read_text().splitlines()]
    mine = [words for words in lines if words[4].startswith(("/tmp", "/var/tmp", "/data/"))]
    return {words[4]: sorted({*words[5].split(",")} - {"nosuid", "nodev"}) for words in mine}
