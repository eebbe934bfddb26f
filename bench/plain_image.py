"""The plain image: the same packages as images/base, installed and configured by default."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from images import host
from images.build import RELEASE
from images.engine import Engine
from images.progress import step
from images.recipe import IMAGES
from images.root import RECIPE_LABEL, ensure_root, root_name

IMAGE = "localhost/visa-bench/plain:latest"
PLAIN = Path(__file__).with_name("plain")
#: Taken from images/ as they are, so that both images hold the same packages.
SHARED = ("base/apt.txt", "steps/apt.sh", "base/requirements.lock")


def ensure_plain(engine: Engine) -> None:
    """Build the plain image where it is not up to date; raises images.engine.BuildFailed."""
    sources = [IMAGES / name for name in SHARED] + sorted(PLAIN.iterdir())
    mark = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    if engine.label(IMAGE, RECIPE_LABEL) == mark:
        return
    ensure_root(engine, RELEASE)
    with tempfile.TemporaryDirectory(prefix="visa-bench-") as scratch, step(f"image {IMAGE}"):
        context, secrets = Path(scratch, "context"), Path(scratch, "secrets")
        secrets.mkdir(mode=0o700)
        shutil.copytree(PLAIN, context)
        for name in SHARED:
            shutil.copy(IMAGES / name, context)
        engine.build(
            context,
            IMAGE,
            arguments={"ROOT": root_name(RELEASE)},
            labels={RECIPE_LABEL: mark},
            secrets=host.write_secrets(secrets, RELEASE),
        )
