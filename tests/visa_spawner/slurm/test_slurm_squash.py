"""Images that are one file, as the node program mounts them: served to the end, and by nobody afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from slurm_cluster import alive, wait

from visa_session.contract import EXIT_BAD_INFO
from visa_spawner.backends.slurm import programs, trees
from visa_spawner.backends.slurm.node import squash
from visa_spawner.backends.slurm.node.plan import NotFit

UID = 23457
#: Mounts a file, says what is in it, and is a session: reads again for each line, until it is killed.
SCRIPT = """
import os, sys
from visa_spawner.backends.slurm.node import namespace, squash
from visa_spawner.backends.slurm.node.plan import NotFit
image, place = sys.argv[1:]
namespace.enter()
namespace.tmpfs(place, "mode=0755,size=1m")
try:
    tree = squash.tree(image, place)
except NotFit as reason:
    sys.exit(reason.words)
for line in sys.stdin:
    print(open(f"{tree}/{line.strip()}").read(), flush=True)
"""


@pytest.fixture
def folder():
    # Not below /tmp, which the account may not enter.
    path = Path(tempfile.mkdtemp(prefix="visa-squash-", dir="/var/lib"))
    path.chmod(0o755)
    programs.write(path)
    (path / "tree").mkdir()
    for name in ("one", "two"):
        (path / "tree" / name).write_text(name * 100_000)
    words = ["mksquashfs", path / "tree", path / "image.squashfs", "-quiet", "-no-progress"]
    subprocess.run(words, check=True, capture_output=True)
    (path / "place").mkdir()
    os.mknod(path / "fuse", 0o666 | 0o020000, os.makedev(10, 229))
    (path / "fuse").chmod(0o666)
    (path / "place").chmod(0o777)
    yield path
    shutil.rmtree(path)


def start(folder, image, fuse: str = "fuse") -> subprocess.Popen:
    bind = (
        f"mount --bind {folder}/{fuse} /dev/fuse && exec setpriv --reuid={UID} --regid={UID} --clear-groups"
    )
    command = ["unshare", "--mount", "sh", "-c", f'{bind} "$@"', "sh", "/usr/bin/python3", "-c", SCRIPT]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder / programs.NODE)}
    return subprocess.Popen([*command, image, folder / "place"], **pipes, text=True, env=environment)


def read(process, name) -> str:
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def servers() -> list[psutil.Process]:
    """What serves images to this test's account: the program, and what keeps it."""
    found = []
    for one in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if one.uids().real == UID and alive(one):
                found.append(one)
    return found


def test_it_is_served_until_the_session_has_ended_however_that_ends(folder):
    process = start(folder, folder / "image.squashfs")
    try:
        assert read(process, "one") == "one" * 100_000
        served = [one for one in servers() if one.pid != process.pid]
        assert {one.name() for one in served} >= {"squashfuse_ll"}, served
        assert not psutil.Process(process.pid).children(recursive=True), "a session would end them too early"
        # Slurm sends these to all processes of a job at once.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            for one in served:
                one.send_signal(number)
        assert read(process, "two") == "two" * 100_000
    finally:
        process.kill()
        process.wait()
    wait(lambda: not servers(), 10, lambda: f"left: {servers()}")


def test_what_serves_it_holds_nothing_of_the_sessions(folder):
    process = start(folder, folder / "image.squashfs")
    try:
        read(process, "one")
        session = {os.readlink(f"/proc/{process.pid}/fd/{number}") for number in (0, 1, 2)}
        for one in servers():
            if one.pid != process.pid:
                held = {os.readlink(path) for path in Path(f"/proc/{one.pid}/fd").iterdir()}
                assert not held & session, one
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no image", "is no SquashFS or SIF file that can be read"),
        (bytes(32) + b"SIF_MAGIC\0" + bytes(100), "is a SIF file without a system in SquashFS"),
        (bytes(32) + b"SIF_MAGIC\0", "is a SIF file without a system in SquashFS"),
    ],
)
def test_a_file_that_is_no_image_is_said(folder, content, said):
    (folder / "wrong").write_bytes(content)
    _, errors = start(folder, folder / "wrong").communicate("", timeout=30)
    assert errors.strip() == f"{folder}/wrong {said}."
    wait(lambda: not servers(), 10, lambda: f"left: {servers()}")


def test_a_node_whose_fuse_is_roots_is_said(folder):
    (folder / "fuse").chmod(0o600)
    _, errors = start(folder, folder / "image.squashfs").communicate("", timeout=30)
    assert errors.strip().endswith("/dev/fuse: Permission denied.")


def test_a_sif_file_is_searched_for_its_system(tmp_path):
    """Of three parts the second has a file system that is data, and the third the system."""
    parts = b""
    for kind, used, start_at, extra in (
        (0x4000, True, 111, (0, 0)),
        (0x4004, True, 222, (1, 3)),
        (0x4004, False, 333, (1, 2)),
        (0x4004, True, 444, (1, 2)),
    ):
        part = struct.pack("<i?3i2q", kind, used, 1, 1, 0, start_at, 5).ljust(201, b"\0")
        parts += (part + struct.pack("<2i", *extra)).ljust(585, b"\0")
    head = (bytes(32) + b"SIF_MAGIC\0").ljust(80, b"\0") + struct.pack("<6q", 0, 4, 128, len(parts), 0, 0)
    (tmp_path / "it.sif").write_bytes(head + parts)
    assert squash.offset(str(tmp_path / "it.sif")) == 444
    (tmp_path / "it.sif").write_bytes(head + parts[:-585])
    with pytest.raises(NotFit) as refused:
        squash.offset(str(tmp_path / "it.sif"))
    assert refused.value.code == EXIT_BAD_INFO


def test_the_hub_finds_a_file_by_the_digest_of_its_image(tmp_path):
    for number, digest in (("0" * 12, "sha256:old"), ("1" * 12, "sha256:new")):
        name = f"base-{number}.squashfs"
        (tmp_path / name).write_bytes(b"hsqs")
        about = {"image": digest, "labels": {"org.visa.recipe": number}}
        about["packages"] = [{"type": "deb", "name": "bash", "version": "5"}, "nonsense"]
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
    for ending in ("", ".json"):
        (tmp_path / f"base.squashfs{ending}").symlink_to(f"{name}{ending}")
    template = f"{tmp_path}/{{recipe}}.squashfs"
    assert trees.find(template, "base") == f"{tmp_path}/base.squashfs"
    assert trees.find(template, "base", "sha256:old") == f"{tmp_path}/base-000000000000.squashfs"
    assert trees.find(template, "base", "sha256:gone") is None
    found = trees.image(template, "base")
    assert (found.digest, found.revision) == ("sha256:new", "1" * 12)
    assert [one["name"] for one in found.packages] == ["bash"]
    (tmp_path / f"{name}.json").write_text("[1]")
    assert trees.image(template, "base").digest == "", "a description that is not one is none"
