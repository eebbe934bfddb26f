"""`python -m demo.clean`: remove all that the demo made on this machine, the data tree included."""

from __future__ import annotations

import os
import shutil
import subprocess

from . import bridge, shutdown
from .facility.tree import MARKER
from .site import ROOT, Site


def main() -> None:
    site = Site.from_environment()
    shutdown.remove_leftovers(site)
    bridge.release(site)
    for place in (site.data, site.homes):
        if (place / MARKER).is_file():
            shutil.rmtree(place)
    for place in (site.run, site.gpus):
        shutil.rmtree(place, ignore_errors=True)
    environment = {**os.environ, "CONTAINERS_CONF": str(ROOT / "images/containers.conf")}
    images = subprocess.run(
        ["podman", "images", "-q", "--filter", "reference=localhost/visa/*"],
        capture_output=True,
        text=True,
        env=environment,
    ).stdout.split()
    if images:
        subprocess.run(["podman", "rmi", "-f", *images], capture_output=True, env=environment)


if __name__ == "__main__":
    main()
