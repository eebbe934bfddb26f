"""An image as one SquashFS file, for shared storage of many nodes: `python -m images.squash NAME FOLDER`.

What is in it is as in the unpacked tree, and the same image gives the same bytes. Each job mounts it by
squashfuse.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .engine import Engine
from .results import KEEP_HOURS, built, command, copied, publish, run

ENDING = ".squashfs"
#: Zstandard's sixth level: a third larger would be faster to make, the default takes four times as long.
COMPRESSION = ("-comp", "zstd", "-Xcompression-level", "6", "-b", "256K")


def squash(engine: Engine, name: str, folder: Path, keep_hours: float = KEEP_HOURS) -> bool:
    """Bring `folder/NAME.squashfs` up to date with the image; whether it had to be made. As `unpack` else."""
    image = built(engine, name)

    def make(new: Path) -> None:
        with copied(engine, image, folder) as tree:
            options = ["-all-root", "-no-xattrs", "-noappend", "-no-progress", "-quiet"]
            options += [*COMPRESSION, "-mkfs-time", str(image.created)]
            run(["mksquashfs", str(tree), str(new), *options], engine.log, "making the SquashFS file")
        new.chmod(0o644)

    return publish(engine, folder, image, ENDING, make, keep_hours)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return command("squash", __doc__.partition(":")[0], ENDING, squash, arguments)


if __name__ == "__main__":
    sys.exit(main())
