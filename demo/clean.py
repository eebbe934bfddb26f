"""`python -m demo.clean`: remove all that the demo made on this machine, the data tree included."""

from __future__ import annotations

import shutil
import subprocess

from images.engine import podman_environment
from images.root import RECIPE_LABEL

from . import alone, bridge, computing, shutdown
from .facility.tree import MARKER
from .site import Site


def remove_images(label: str) -> list[str]:
    """Remove podman's images with a label, named or not; gives those that containers still use.

    Never by force, which would end the sessions of another demo on this machine.
    """
    environment = podman_environment()
    rows = "{{.Repository}}:{{.Tag}} {{.ID}}"
    command = ["podman", "images", "--filter", f"label={label}", "--format", rows]
    names: list[str] = []
    for _ in range(3):  # an image can go once those that stand on it have
        listed = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout
        pairs = [line.split() for line in listed.splitlines()]
        names = [image if name.startswith("<none>") else name for name, image in pairs]
        for name in names:
            subprocess.run(["podman", "rmi", name], capture_output=True, env=environment)
        if not names:
            break
    return names


def main() -> None:
    site = Site.from_environment()
    with alone.port(site):
        remove(site)


def remove(site: Site) -> None:
    shutdown.remove_leftovers(site)
    bridge.release(site)
    computing.take_away(site)
    for place in (site.data, site.homes):
        if (place / MARKER).is_file():
            shutil.rmtree(place)
    for place in (site.run, site.gpus, site.cluster.parent, site.images):
        shutil.rmtree(place, ignore_errors=True)
    for left in remove_images(RECIPE_LABEL):
        print(f"Image {left} stays: a container uses it")


if __name__ == "__main__":
    main()
