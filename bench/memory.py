"""What a session's container holds in memory that could not be given back: its cgroup's own numbers."""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def _numbers(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in map(str.split, path.read_text().splitlines())}


def memory_of(pid: int) -> int:
    """Bytes charged to the process's cgroup, without cached files.

    Cached files are left out since they are shared by all who read them and go when memory is short.
    Works with version 1, version 2 and both at once. Raises OSError when the process is gone.
    """
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    places = {
        controllers: path.lstrip("/") for _, controllers, path in (line.split(":", 2) for line in lines)
    }
    if "memory" in places:
        group = CGROUPS / "memory" / places["memory"]
        stat = _numbers(group / "memory.stat")
        used = int((group / "memory.usage_in_bytes").read_text())
        return used - stat["total_inactive_file"] - stat["total_active_file"]
    group = CGROUPS / places[""]
    stat = _numbers(group / "memory.stat")
    return int((group / "memory.current").read_text()) - stat["inactive_file"] - stat["active_file"]
