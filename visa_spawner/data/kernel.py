"""The few kernel calls that Python has no name for: openat2, open_tree, mount_setattr, move_mount, setns.

Each raises OSError with the kernel's errno, and nothing else. Numbers and layouts are those of
linux/openat2.h and linux/mount.h; the call numbers from 424 on are the same on every architecture.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442

AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

AT_FDCWD = -100

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x04
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MS_PRIVATE = 1 << 18

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000


class _OpenHow(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def openat2(directory: int, name: str, flags: int, resolve: int) -> int:
    """A descriptor for `name` below the open `directory`, resolved as `resolve` allows."""
    how = _OpenHow(flags, 0, resolve)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    return _call(_OPENAT2, ctypes.c_int(directory), os.fsencode(name), ctypes.byref(how), size)


def clone_tree(directory: int) -> int:
    """A detached copy of the mounts at an open directory and below; lives as long as its descriptor."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE
    return _call(_OPEN_TREE, ctypes.c_int(directory), b"", ctypes.c_uint(flags))


def restrict_tree(tree: int, attributes: int) -> None:
    """Set mount attributes on a tree and everything below, and cut it off from later mounts elsewhere."""
    attr = _MountAttr(attributes, 0, MS_PRIVATE, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attr))
    flags = ctypes.c_uint(AT_EMPTY_PATH | AT_RECURSIVE)
    _call(_MOUNT_SETATTR, ctypes.c_int(tree), b"", flags, ctypes.byref(attr), size)


def attach_tree(tree: int, directory: int) -> None:
    """Mount a detached tree on an open directory."""
    flags = ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
    _call(_MOVE_MOUNT, ctypes.c_int(tree), b"", ctypes.c_int(directory), b"", flags)


def detach(path: str) -> None:
    """Take a mount and all below it away, at once for new users, for others when they are done."""
    if _libc.umount2(os.fsencode(path), MNT_DETACH | UMOUNT_NOFOLLOW) != 0:
        _fail()


def detach_directory(directory: int) -> None:
    """As `detach`, for what is mounted at an open directory; leaves the process in `/`."""
    os.fchdir(directory)
    try:
        detach(".")
    finally:
        os.chdir("/")


def enter(process: int, namespaces: int) -> None:
    """Join namespaces of the process that a pidfd stands for; only a process with one thread can."""
    if _libc.setns(ctypes.c_int(process), ctypes.c_int(namespaces)) != 0:
        _fail()


def _call(number: int, *arguments) -> int:
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        _fail()
    return result


def _fail():
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
