"""What must hold before a session's server starts: raw data read-only, GPUs there, a home to write to."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .contract import (
    EXIT_BAD_INFO,
    EXIT_GPU_MISSING,
    EXIT_HOME_UNUSABLE,
    EXIT_NOT_READ_ONLY,
    ExperimentInfo,
    SessionInfo,
)

MOUNTINFO = Path("/proc/self/mountinfo")


class NotFit(Exception):
    """The session must not start; `code` is its exit code, the text one plain sentence for its owner."""

    def __init__(self, code: int, words: str):
        super().__init__(words)
        self.code, self.words = code, words


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo, as far as it matters here."""

    id: int
    parent: int
    point: str
    read_only: bool


def read_mounts(text: str) -> dict[int, Mount]:
    """The mounts of a mountinfo text by id; raises ValueError at a line that is not one."""
    mounts = {}
    for line in text.splitlines():
        fields, separator, rest = line.partition(" - ")
        columns, filesystem = fields.split(" "), rest.split(" ")
        if not separator or len(columns) < 6 or len(filesystem) < 3:
            raise ValueError(f"not a line of mountinfo: {line!r}")
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), columns[4])
        # Either word suffices: "ro" of the mount, or of the filesystem under every mount of it.
        read_only = "ro" in columns[5].split(",") or "ro" in filesystem[2].split(",")
        mounts[int(columns[0])] = Mount(int(columns[0]), int(columns[1]), point, read_only)
    return mounts


def mount_id(path: str) -> int:
    """The id of the mount that `path` (a directory, no symlink) is seen through; raises OSError."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return int(line.split()[1])
    finally:
        os.close(descriptor)
    raise OSError(f"the kernel does not say which mount {path} is on")


def writable_mounts(path: str, mounts: dict[int, Mount]) -> list[str]:
    """Where `path`, or a mount at any depth below it, may be written: mount points, sorted.

    Raises OSError when `path` cannot be looked at.
    """
    real = os.path.realpath(path)
    covering = mounts[mount_id(real)]
    found = [] if covering.read_only else [real]
    below, prefix = {covering.id}, real.rstrip("/") + "/"
    # Mounts hang in a tree: a grandchild counts as much as a child, in whatever order they are listed.
    waiting = [mount for mount in mounts.values() if mount.point.startswith(prefix)]
    while reached := [mount for mount in waiting if mount.parent in below]:
        below |= {mount.id for mount in reached}
        found += [mount.point for mount in reached if not mount.read_only]
        waiting = [mount for mount in waiting if mount.id not in below]
    return sorted(found)


def check_raw(experiments: Iterable[ExperimentInfo], mountinfo: Path = MOUNTINFO) -> None:
    """Raise NotFit unless every experiment's raw data are read-only down to the last mount."""
    experiments = [experiment for experiment in experiments if experiment.raw]
    if not experiments:
        return
    try:
        # Names on disk are bytes: surrogates carry what is no UTF-8.
        mounts = read_mounts(os.fsdecode(mountinfo.read_bytes()))
    except (OSError, ValueError) as error:
        raise NotFit(EXIT_NOT_READ_ONLY, f"This session cannot tell what is read-only: {error}.") from error
    for experiment in experiments:
        try:
            writable = writable_mounts(experiment.raw, mounts)
        except (OSError, KeyError) as error:
            raise NotFit(
                EXIT_NOT_READ_ONLY, f"The raw data of experiment {experiment.id} are not there: {error}."
            ) from error
        if writable:
            raise NotFit(
                EXIT_NOT_READ_ONLY,
                f"The raw data of experiment {experiment.id} are not read-only: {', '.join(writable)}.",
            )


def check_gpus(devices: Iterable[str]) -> None:
    """Raise NotFit unless every promised GPU is a device that this account may use."""
    for device in devices:
        try:
            there = stat.S_ISCHR(os.stat(device).st_mode)
        except OSError:
            there = False
        if not there:
            raise NotFit(EXIT_GPU_MISSING, f"The GPU {device} that this session was promised is not there.")
        if not os.access(device, os.R_OK | os.W_OK):
            raise NotFit(EXIT_GPU_MISSING, f"This account may not use the GPU {device} it was promised.")


def check_home(home: str) -> None:
    """Raise NotFit unless `home` is a directory that belongs to this account and may be written.

    A full disk or quota is let through: whoever has one needs a session to make room.
    """
    if not home.startswith("/"):
        raise NotFit(EXIT_HOME_UNUSABLE, "This session was given no home directory.")
    try:
        found = os.stat(home)
    except OSError as error:
        raise NotFit(
            EXIT_HOME_UNUSABLE, f"The home directory {home} is not there: {error.strerror}."
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise NotFit(EXIT_HOME_UNUSABLE, f"The home directory {home} is not a directory.")
    if found.st_uid != os.geteuid():
        raise NotFit(EXIT_HOME_UNUSABLE, f"The home directory {home} belongs to another account.")
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        raise NotFit(EXIT_HOME_UNUSABLE, f"The home directory {home} cannot be written.")


def check_person() -> None:
    """Raise NotFit when the session would run as root."""
    if os.geteuid() == 0:
        raise NotFit(EXIT_BAD_INFO, "A session runs as its owner, never as root.")


def check_all(info: SessionInfo, home: str) -> None:
    """Raise NotFit at the first thing that is not as it must be."""
    check_person()
    check_raw(info.experiments)
    check_gpus(info.gpus)
    check_home(home)
