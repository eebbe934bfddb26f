"""An image as a SIF file, for Apptainer: `python -m images.sif NAME FOLDER`.

Needs `apptainer` on this machine. What is in it is as in the unpacked tree; `apptainer inspect` shows its
labels.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from .engine import BuildFailed, Engine
from .results import KEEP_HOURS, Image, built, command, copied, publish, run
from .squash import COMPRESSION

ENDING = ".sif"


def sif(engine: Engine, name: str, folder: Path, keep_hours: float = KEEP_HOURS) -> bool:
    """Bring `folder/NAME.sif` up to date with the image; whether it had to be made. As `unpack` else."""
    image = built(engine, name)
    if shutil.which("apptainer") is None:
        raise BuildFailed("apptainer is not installed on this machine: it alone makes SIF files")

    def make(new: Path) -> None:
        with copied(engine, image, folder) as tree:
            scratch = str(tree.parent)
            label(tree, image)
            options = ["--force", "--mksquashfs-args", " ".join(["-all-root", "-no-xattrs", *COMPRESSION])]
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": scratch,
                "APPTAINER_TMPDIR": scratch,
                "APPTAINER_CACHEDIR": f"{scratch}/cache",
                "SOURCE_DATE_EPOCH": str(image.created),
            }
            words = ["apptainer", "build", *options, str(new), str(tree)]
            run(words, engine.log, "making the SIF file", env=environment)
        new.chmod(0o644)

    return publish(engine, folder, image, ENDING, make, keep_hours)


def label(tree: Path, image: Image) -> None:
    """Have Apptainer find the image's labels, and its digest, where it looks for labels."""
    place = tree / ".singularity.d/labels.json"
    place.parent.mkdir(exist_ok=True)
    labels = image.labels | {"org.visa.image": f"sha256:{image.digest}"}
    place.write_text(json.dumps(labels, indent=2, sort_keys=True))
    place.chmod(0o644)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    return command("sif", __doc__.partition(":")[0], ENDING, sif, arguments)


if __name__ == "__main__":
    sys.exit(main())
