"""The real image, and a way to run things in it as a session does."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.build import main as build_main
from images.engine import Engine, find_engine

from .measurements import measure
from .recipes import tested

#: A disk that boots by hand takes minutes in software; tests/visa_spawner/vm/test_vm_guest.py boots it once.
collect_ignore = [] if os.environ.get("VISA_TEST_IMAGES") == "all" else ["test_disk.py"]
IMAGE = "localhost/visa/base:latest"
INSIDE = Path(__file__).with_name("inside")

#: As the container backend starts sessions: no capability, nothing to be gained by set-id files.
LOCKED_DOWN = ("--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none")


@pytest.fixture(scope="session")
def engine(tmp_path_factory) -> Iterator[Engine]:
    with (tmp_path_factory.mktemp("engine") / "log").open("wb", buffering=0) as log:
        yield find_engine(["podman", "docker"], log)


@pytest.fixture(scope="session")
def image(engine) -> str:
    """The image's name, once it is up to date."""
    assert build_main(["base"]) == 0
    return IMAGE


def runner(engine: Engine, image: str, out: Path, *options: str):
    """Gives `run(*command)`, which runs in an image as an account without a passwd entry.

    `out` is /out inside, scripts from tests/images/inside are in /inside. What `run` gives is the finished
    process; its containers go at the end of the block.
    """
    names = []

    def run(*command: str, user: str = "23456:34567", timeout: float = 120, check: bool = True):
        name = f"visa-test-images-{uuid.uuid4().hex[:8]}"
        names.append(name)
        out.chmod(0o777)
        arguments = [engine.program, "run", "--rm", "--name", name, "--user", user, *LOCKED_DOWN, *options]
        arguments += ["-v", f"{out}:/out", "-v", f"{INSIDE}:/inside:ro"]
        done = subprocess.run(
            [*arguments, image, *command],
            capture_output=True, text=True, check=False, timeout=timeout, env=engine.environment,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    yield run
    for name in names:
        subprocess.run(
            [engine.program, "rm", "-f", name], capture_output=True, check=False, env=engine.environment
        )


@pytest.fixture
def run(engine, image, tmp_path):
    """`run(*command)` in the base image; see `runner`. The home is /out, where it begins."""
    yield from runner(engine, image, tmp_path, "-e", "HOME=/out", "-w", "/out")


@pytest.fixture(scope="session", params=tested())
def technique(request, engine) -> str:
    """The name of each recipe to test that is no base, once its image is up to date."""
    assert build_main([request.param]) == 0
    return request.param


@pytest.fixture
def work(engine, technique, tmp_path, measured):
    """`work(*command)` in a technique's image as a session has it: see `runner`.

    The root is read-only, the home empty; /data holds one measurement of each kind.
    """
    options = ["--read-only", "--tmpfs", "/tmp:mode=1777", "--tmpfs", "/home/someone:mode=777"]
    options += ["-v", f"{measured}:/data:ro", "-e", "HOME=/home/someone", "-w", "/home/someone"]
    yield from runner(engine, f"localhost/visa/{technique}:latest", tmp_path, *options)


@pytest.fixture(scope="session")
def measured(tmp_path_factory) -> Path:
    """A folder with one measurement of each technique, as the demo's facility makes them."""
    folder = tmp_path_factory.mktemp("measured")
    measure(folder)
    folder.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def tree(engine, image):
    """The base image's whole file system, read-only, as a directory of this machine."""
    yield from mounted(engine, image)


@pytest.fixture(scope="session")
def technique_tree(engine, technique):
    """As `tree`, of a technique's image."""
    yield from mounted(engine, f"localhost/visa/{technique}:latest")


def mounted(engine: Engine, image: str) -> Iterator[Path]:
    if engine.program != "podman":
        pytest.fail("these tests look into the image with `podman image mount`")
    mount = subprocess.run(
        [engine.program, "image", "mount", image],
        capture_output=True,
        text=True,
        check=True,
        env=engine.environment,
    )
    yield Path(mount.stdout.strip())
    subprocess.run(
        [engine.program, "image", "unmount", image], check=True, capture_output=True, env=engine.environment
    )
