"""Mounts of a container that runs: put there, or taken away."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...data import kernel
from .places import FLAGS, NO_LINKS, Undo, Way
from .refusals import Refused
from .request import Mount

_ALWAYS = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV


def take(mounts: Sequence[Mount]) -> list[int]:
    """A copy of each source's tree, with its restrictions down to the last mount below; raises Refused.

    Taken before the container is entered, after which these paths mean something else.
    """
    trees = []
    for mount in mounts:
        try:
            source = kernel.openat2(kernel.AT_FDCWD, mount.source, FLAGS, NO_LINKS)
            try:
                trees.append(kernel.clone_tree(source))
            finally:
                os.close(source)
            read_only = kernel.MOUNT_ATTR_RDONLY if mount.read_only else 0
            kernel.restrict_tree(trees[-1], _ALWAYS | read_only)
        except OSError as error:
            raise Refused(f"the source of {mount.target} cannot be bound: {error.strerror}") from error
    return trees


def put(mounts: Sequence[Mount], trees: Sequence[int], undo: Undo) -> None:
    """Mount each tree at its place inside; raises Refused, also where something is mounted already."""
    for mount, tree in zip(mounts, trees, strict=True):
        way = Way(mount.target, undo)
        try:
            if way.is_mount:
                raise Refused(f"something is mounted at {mount.target} already")
            kernel.attach_tree(tree, way.last)
            undo.append(lambda target=mount.target: _detach(target))
        except OSError as error:
            raise Refused(f"{mount.target} inside: {error.strerror}") from error
        finally:
            way.close()


def remove(target: str) -> None:
    """Take away what is mounted at `target`, and the place made for it; harmless where there is nothing."""
    while _detach(target):
        pass
    try:
        way = Way(target)
    except FileNotFoundError:
        return
    way.remove_empty()
    way.close()


def _detach(target: str) -> bool:
    """Take the upmost mount away; whether there was one."""
    try:
        way = Way(target)
    except FileNotFoundError:
        return False
    try:
        if way.is_mount:
            kernel.detach_directory(way.last)
        return way.is_mount
    except OSError as error:
        raise Refused(f"{target} inside: {error.strerror}") from error
    finally:
        way.close()
