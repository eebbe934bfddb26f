"""Images as directory trees: whole, root's, harmless, replaced at once, removed when unused."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import uuid

import pytest

from images.engine import BuildFailed, Engine, podman_environment
from images.root import RECIPE_LABEL
from images.unpack import unpack


def entry(name: str, mode: int, content: bytes | None = None, **fields) -> tuple[tarfile.TarInfo, bytes]:
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
                entry("etc", 0o755),
                entry("etc/text", 0o600, text.encode(), uid=1000),
                entry("root", 0o700),
                entry("tmp", 0o1777),
                entry("bin", 0o755),
                entry("bin/program", 0o4755, b"#!/bin/sh\n"),
                entry("bin/group", 0o2711, b"#!/bin/sh\n", gid=42),
                entry("etc/open", 0o666, b""),
                entry("etc/link", 0o777, type=tarfile.SYMTYPE, linkname="text"),
                entry("etc/null", 0o666, type=tarfile.CHRTYPE, devmajor=1, devminor=3),
                entry("etc/pipe", 0o666, type=tarfile.FIFOTYPE),
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


def test_all_is_root_s_and_readable_and_nobody_s_to_write(image, engine, tmp_path):
    name = image("one")
    assert unpack(engine, name, tmp_path) is True
    tree = tmp_path / name
    assert (tree / "etc/text").read_text() == "one" and os.readlink(tree / "etc/link") == "text"
    modes = {}
    for path in tree.rglob("*"):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        if not path.is_symlink():
            modes[str(path.relative_to(tree))] = stat.filemode(found.st_mode)
    assert modes == {
        **dict.fromkeys(("etc", "root", "tmp", "bin"), "drwxr-xr-x"),
        **dict.fromkeys(("bin/program", "bin/group"), "-rwxr-xr-x"),
        **dict.fromkeys(("etc/text", "etc/open"), "-rw-r--r--"),
    }
    assert stat.filemode(tree.stat().st_mode) == "drwxr-xr-x"


def test_it_is_made_anew_when_the_image_has_changed_alone(image, engine, tmp_path):
    name = image("one")
    assert [unpack(engine, name, tmp_path) for _ in range(2)] == [True, False]
    image("two")
    assert unpack(engine, name, tmp_path) is True
    assert (tmp_path / name / "etc/text").read_text() == "two"
    # The first stays: a job on another machine may run in it.
    assert len(list(tmp_path.glob(f"{name}-*"))) == 2


def test_a_replaced_tree_goes_once_nobody_here_uses_it(image, engine, tmp_path):
    name = image("one")
    unpack(engine, name, tmp_path)
    inside = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /mnt && echo in && read x']
    user = subprocess.Popen(
        [*inside, str(tmp_path / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout.readline() == "in\n"
    image("two")
    unpack(engine, name, tmp_path, keep_hours=0)
    assert len(list(tmp_path.glob(f"{name}-*"))) == 2
    user.communicate("\n")
    unpack(engine, name, tmp_path, keep_hours=0)
    (left,) = tmp_path.glob(f"{name}-*")
    assert (left / "etc/text").read_text() == "two"


def test_an_image_that_is_not_there_is_said(engine, tmp_path):
    with pytest.raises(BuildFailed, match="python -m images.build nothing"):
        unpack(engine, "nothing", tmp_path)
