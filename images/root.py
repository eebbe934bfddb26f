"""The Debian root filesystem that recipes stand on."""

from __future__ import annotations

import hashlib
import shutil
import subprocess

from .engine import BuildFailed, Engine
from .host import mirrors

RECIPE_LABEL = "org.visa.recipe"
OFFICIAL = "docker.io/library/debian:{release}-slim"

#: mmdebstrap's hooks and options; changing them changes the root's hash.
OPTIONS = (
    "--variant=minbase",
    "--include=ca-certificates",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/info/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-include=/usr/share/locale/locale.alias",
)


def root_name(release: str) -> str:
    return f"localhost/visa/debian:{release}"


def ensure_root(engine: Engine, release: str) -> bool:
    """Make the root image of a release where there is none made with OPTIONS; says whether it was made.

    Uses mmdebstrap, so that no image registry is needed.
    """
    mark = hashlib.sha256("\0".join([release, *OPTIONS]).encode()).hexdigest()
    if engine.label(root_name(release), RECIPE_LABEL) == mark:
        return False
    if not shutil.which("mmdebstrap"):
        raise BuildFailed(
            "mmdebstrap is not installed: install it, or use --official where a registry is in reach"
        )
    maker = subprocess.Popen(
        ["mmdebstrap", "--quiet", *OPTIONS, release, "-", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=engine.log,
    )  # fmt: skip
    maker.stdin.write(mirrors().sources(release).encode())
    maker.stdin.close()
    try:
        engine.import_root(maker.stdout, root_name(release), {RECIPE_LABEL: mark})
    finally:
        maker.stdout.close()
        if maker.wait():
            # A truncated archive imports without complaint: what it made must not pass for a root.
            engine.remove_image(root_name(release))
            raise BuildFailed(f"mmdebstrap could not make {release}'s root filesystem")
    return True
