"""An image as a directory tree, for nodes that have no engine: `python -m images.unpack NAME FOLDER`.

All in it is root's and can be read by everybody; nothing can be written to, or makes whoever runs it somebody
else.
"""

from __future__ import annotations

import sys
from pathlib import Path

from .engine import Engine
from .results import KEEP_HOURS, built, command, copy, mounted, publish

ENDING = ""


def unpack(engine: Engine, name: str, folder: Path, keep_hours: float = KEEP_HOURS) -> bool:
    """Bring `folder/name` up to date with the image that sessions start from; whether it had to be made.

    Removes trees that nobody uses any more. Needs root. Raises BuildFailed in words.
    """
    image = built(engine, name)

    def make(new: Path) -> None:
        with mounted(image.digest, engine) as root:
            copy(image, root, new)

    return publish(engine, folder, image, ENDING, make, keep_hours)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return command("unpack", __doc__.partition(":")[0], ENDING, unpack, arguments)


if __name__ == "__main__":
    sys.exit(main())
