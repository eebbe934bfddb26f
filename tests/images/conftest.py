"""The real image, and a way to run things in it as a session does."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.build import main as build_main
from images.engine import Engine, find_engine

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


@pytest.fixture
def run(engine, image, tmp_path):
    """Run a command in the image as an account without a passwd entry; returns the finished process.

    `tmp_path` is /out inside; scripts from tests/images/inside are in /inside.
    """
    names = []

    def run(*command: str, user: str = "23456:34567", timeout: float = 120, check: bool = True):
        name = f"visa-test-images-{uuid.uuid4().hex[:8]}"
        names.append(name)
        tmp_path.chmod(0o777)
        arguments = [engine.program, "run", "--rm", "--name", name, "--user", user, *LOCKED_DOWN]
        arguments += ["-v", f"{tmp_path}:/out", "-v", f"{INSIDE}:/inside:ro", "-e", "HOME=/out", "-w", "/out"]
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


@pytest.fixture(scope="session")
def tree(engine, image):
    """The image's whole file system, read-only, as a directory of this machine."""
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
