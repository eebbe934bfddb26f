"""What must hold before a session starts, with real mounts in a mount namespace and real devices."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from pathlib import Path

import pytest

from visa_session import checks
from visa_session.contract import (
    EXIT_BAD_INFO,
    EXIT_GPU_MISSING,
    EXIT_HOME_UNUSABLE,
    EXIT_NOT_READ_ONLY,
    INFO_VARIABLE,
)

from .hubside import wait_until
from .launch import Launched

NOWHERE = 1
#: A mount namespace of its own, in which the script `$0` runs before the session.
UNSHARE = ("unshare", "--mount", "--propagation", "private", "sh", "-euc")


@pytest.fixture
def data():
    """A directory tree as a facility's data, reachable by an ordinary account."""
    root = Path("/srv/visa-test-data")
    raw = root / "raw data"
    (raw / "collection").mkdir(parents=True)
    (root / "elsewhere").mkdir()
    yield raw
    shutil.rmtree(root)


def with_mounts(script: str, raw: Path, **info) -> tuple[int, str]:
    experiment = {"id": "MA-1", "raw": str(raw)}
    before = (*UNSHARE, f'cd /srv/visa-test-data; {script}; exec "$@"', "sh")
    # Nobody listens at that port: a session that starts goes on trying to reach its hub.
    launched = Launched(NOWHERE, {"experiments": [experiment]} | info, before)
    launched.start()
    wait_until(lambda: launched.process.poll() is not None or "running at" in launched.said, 20)
    code = launched.process.poll()
    launched.close()
    return code, launched.said


def test_raw_data_that_are_read_only_let_a_session_start(data):
    code, said = with_mounts("mount --bind 'raw data' 'raw data'; mount -o remount,bind,ro 'raw data'", data)
    assert code is None, said


@pytest.mark.parametrize(
    "script, where",
    [
        pytest.param("true", "raw data", id="not mounted"),
        pytest.param("mount --bind 'raw data' 'raw data'", "raw data", id="read-write"),
        pytest.param(
            "mount -t tmpfs none 'raw data/collection'; mount --rbind 'raw data' 'raw data';"
            " mount -o remount,bind,ro 'raw data'",
            "raw data/collection",
            id="a mount below is writable",
        ),
        pytest.param(
            "mount --bind 'raw data' 'raw data'; mount -o remount,bind,ro 'raw data';"
            " mount -t tmpfs none 'raw data/collection'; mkdir 'raw data/collection/deep';"
            " mount --bind elsewhere 'raw data/collection/deep'; mount -o remount,ro 'raw data/collection'",
            "raw data/collection/deep",
            id="a mount below a mount is writable",
        ),
        pytest.param(
            "mount --bind 'raw data' 'raw data'; mount -o remount,bind,ro 'raw data';"
            " mount --bind elsewhere 'raw data'",
            "raw data",
            id="a writable mount on top",
        ),
    ],
)
def test_raw_data_that_can_be_written_refuse_the_start(data, script, where):
    code, said = with_mounts(script, data)
    assert code == EXIT_NOT_READ_ONLY, said
    assert said == (
        f"visa-session: The raw data of experiment MA-1 are not read-only: /srv/visa-test-data/{where}.\n"
    )


def test_a_writable_mount_hidden_under_a_read_only_one_does_not_count(data):
    script = (
        "mount -t tmpfs none 'raw data/collection'; mount --bind elsewhere 'raw data';"
        " mount -o remount,bind,ro 'raw data'"
    )
    code, said = with_mounts(script, data)
    assert code is None, said


def test_raw_data_that_are_missing_refuse_the_start(data):
    code, said = with_mounts("rmdir 'raw data/collection' 'raw data'", data)
    data.mkdir()
    assert code == EXIT_NOT_READ_ONLY
    assert said.startswith("visa-session: The raw data of experiment MA-1 are not there")


@pytest.fixture
def device(tmp_path):
    path = Path("/srv/visa-test-gpu")
    os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    path.chmod(0o666)
    yield path
    path.unlink()


def test_a_promised_gpu_that_is_missing_refuses_the_start(device):
    code, said = Launched(NOWHERE, {"gpus": [str(device), "/dev/visa-no-such-gpu"]}).run()
    assert code == EXIT_GPU_MISSING
    assert (
        said == "visa-session: The GPU /dev/visa-no-such-gpu that this session was promised is not there.\n"
    )


def test_a_gpu_that_is_no_device_or_not_ours_is_refused(device, tmp_path):
    checks.check_gpus([str(device)])
    plain = tmp_path / "gpu"
    plain.write_text("")
    with pytest.raises(checks.NotFit, match="is not there"):
        checks.check_gpus([str(plain)])
    device.chmod(0o600)
    code, said = Launched(NOWHERE, {"gpus": [str(device)]}).run()
    assert code == EXIT_GPU_MISSING
    assert "may not use" in said


@pytest.mark.parametrize(
    "break_it, words",
    [
        (lambda launched: launched.env.pop("HOME"), "no home directory"),
        (lambda launched: launched.env.update(HOME="/srv/no-such-home"), "is not there"),
        (lambda launched: os.chown(launched.home, 0, 0), "belongs to another account"),
        (lambda launched: launched.home.chmod(0o500), "cannot be written"),
        (lambda launched: launched.env.update(HOME="/etc/passwd"), "is not a directory"),
    ],
)
def test_a_home_that_is_of_no_use_refuses_the_start(break_it, words):
    launched = Launched(NOWHERE)
    break_it(launched)
    code, said = launched.run()
    assert code == EXIT_HOME_UNUSABLE
    assert words in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"owner": "a"}'])
def test_an_unreadable_description_refuses_the_start(text):
    code, said = Launched(NOWHERE, text).run()
    assert code == EXIT_BAD_INFO
    assert said.startswith(f"visa-session: {INFO_VARIABLE}")
    assert said.count("\n") == 1


def test_a_session_never_runs_as_root():
    code, said = Launched(NOWHERE).run(uid=0)
    assert code == EXIT_BAD_INFO
    assert "never as root" in said


def test_a_taken_port_is_said_in_words():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/user/alice/byhand/"
        code, said = Launched(NOWHERE, JUPYTERHUB_SERVICE_URL=url).run()
    assert code == EXIT_BAD_INFO
    assert "cannot listen on 127.0.0.1" in said


def test_mountinfo_that_is_not_understood_is_an_error():
    with pytest.raises(ValueError, match="not a line"):
        checks.read_mounts("36 35 98:0 / /mnt rw\n")
    mount = checks.read_mounts(r"36 35 98:0 / /mnt/a\040b\134 rw shared:1 - ext4 /dev/x ro,errors=continue")[
        36
    ]
    assert (mount.point, mount.read_only) == ("/mnt/a b\\", True)
