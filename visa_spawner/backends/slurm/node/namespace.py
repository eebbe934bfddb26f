"""A user and mount namespace of the job's own, made by an ordinary account, and mounts in it."""

from __future__ import annotations

import ctypes
import os
import re

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_REC, MS_PRIVATE, MS_RELATIME = 16384, 1 << 18, 1 << 21

#: Options of a mount that the kernel does not let a namespace like ours take away.
_KEPT = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
}

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter() -> None:
    """Have our own mounts from now on: what the node mounts later does not appear. Raises OSError."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    # Whom an account may be inside is itself; groups beyond the first keep their rights and lose their names.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    _mount("none", "/", None, MS_REC | MS_PRIVATE)


def tmpfs(path: str, options: str) -> None:
    """An empty file system in memory at `path`."""
    _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options)


def devpts(path: str) -> None:
    """Terminals of the session's own at `path`."""
    _mount("devpts", path, "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620")


def fuse(served: int, path: str) -> None:
    """What the program serves that gets `served`, a descriptor of /dev/fuse; for this account alone."""
    options = f"fd={served},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},default_permissions"
    _mount("visa", path, "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV, options)


def bind(source: str, target: str, flags: int = 0) -> None:
    """`source` with all that is mounted below it, at `target`; `flags` hold for every mount of it."""
    _mount(source, target, None, MS_BIND | MS_REC)
    if flags:
        restrict(target, flags)


def restrict(path: str, flags: int, below: bool = True) -> None:
    """Add flags to the mount at `path` and, as it is by default, to every one below it."""
    # Mount by mount, which kernels of older clusters can do as well.
    with open("/proc/self/mountinfo", "rb") as file:
        text = file.read()
    points = {}
    for line in text.splitlines():
        columns = line.split(b" ")
        point = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), columns[4])
        points[os.fsdecode(point)] = columns[5].decode().split(",")  # the last at a place is on top
    real = os.path.realpath(path)
    for point, options in points.items():
        if point != real and not (below and point.startswith(real.rstrip("/") + "/")):
            continue
        kept = sum(_KEPT.get(option, 0) for option in options)
        try:
            _mount("none", point, None, MS_BIND | MS_REMOUNT | kept | flags)
        except OSError:
            # One that lies below another mount, or is closed to this account: out of reach for the session as
            # well, which looks itself at what of its raw data could be written.
            if point == real:
                raise


def _mount(source: str, target: str, kind, flags: int, options=None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, options)]
    try:
        _call("mount", *encoded[:3], ctypes.c_ulong(flags), encoded[3])
    except OSError as error:
        raise OSError(error.errno, f"{target}: {os.strerror(error.errno)}") from error
