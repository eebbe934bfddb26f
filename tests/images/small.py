"""An image of a few files, with what no result may have: set-id files, devices, one for its owner alone."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid

import pytest

from images.engine import Engine, podman_environment
from images.root import RECIPE_LABEL

#: What is left of it: each with the mode it is to have.
FOLDERS = ("etc", "root", "tmp", "bin", "opt", "opt/visa")
PROGRAMS, FILES = ("bin/program", "bin/group"), ("etc/text", "etc/open", "opt/visa/packages.txt")
PACKAGES = "# Debian\nbash 5.2\n# Python\nsilx==3.1\n"


def _entry(name: str, mode: int, content: bytes | None = None, **fields) -> tuple[tarfile.TarInfo, bytes]:
    it = tarfile.TarInfo(name)
    it.mode, it.size = mode, len(content or b"")
    it.type = tarfile.REGTYPE if content is not None else tarfile.DIRTYPE
    for field, value in fields.items():
        setattr(it, field, value)
    return it, content or b""


@pytest.fixture
def engine():
    with open(os.devnull, "wb") as log:
        yield Engine("podman", log)


@pytest.fixture
def image(engine):
    """`image(text)` makes an image of that text, under a name of this test's own; gives the name."""
    name = f"test-{uuid.uuid4().hex[:8]}"

    def make(text: str) -> str:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            for it, content in (
                _entry("etc", 0o755),
                _entry("etc/text", 0o600, text.encode(), uid=1000),
                _entry("root", 0o700),
                _entry("tmp", 0o1777),
                _entry("bin", 0o755),
                _entry("bin/program", 0o4755, b"#!/bin/sh\n"),
                _entry("bin/group", 0o2711, b"#!/bin/sh\n", gid=42),
                _entry("etc/open", 0o666, b""),
                _entry("etc/link", 0o777, type=tarfile.SYMTYPE, linkname="text"),
                _entry("etc/null", 0o666, type=tarfile.CHRTYPE, devmajor=1, devminor=3),
                _entry("opt", 0o755),
                _entry("opt/visa", 0o755),
                _entry("opt/visa/packages.txt", 0o644, PACKAGES.encode()),
                _entry("etc/pipe", 0o666, type=tarfile.FIFOTYPE),
            ):
                tar.addfile(it, io.BytesIO(content))
        archive.seek(0)
        label = uuid.uuid4().hex * 2
        command = ["podman", "import", "--change", f"LABEL {RECIPE_LABEL}={label}", "-"]
        subprocess.run(
            [*command, f"localhost/visa/{name}:latest"],
            input=archive.read(),
            env=podman_environment(),
            capture_output=True,
            check=True,
        )
        made.add(engine.inspect(f"localhost/visa/{name}:latest")["Id"])
        return name

    made: set[str] = set()
    yield make
    subprocess.run(["podman", "rmi", "-f", *made], env=podman_environment(), capture_output=True, check=True)
