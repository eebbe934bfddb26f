"""A real session in a real job, by each runtime that runs here, seen from inside and from outside."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from slurm_cluster import alive, wait
from slurm_desk import ROOT, TOKEN
from slurm_job import BELOW_DEV, TMP, data, gpu_device, image, image_as, node_has_it_all, session

from tests.visa_session.viewer import Viewer
from visa_session.contract import SessionInfo

__all__ = ["data", "image", "node_has_it_all"]

PROBE = (Path(__file__).parent / "slurm_probe.py").read_text()
LOOK = (ROOT / "tests/images/inside/find_token.py").read_text()
#: Looks for a text, given as input, in the memory of every process that it may read.
SEARCH = """
import glob, os, sys
own = f"/proc/{os.getpid()}"
wanted, seen = sys.stdin.read()[::-1].encode(), 0
for process in glob.glob("/proc/[0-9]*"):
    try:
        for line in open(process + "/maps"):
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                begin, end = (int(number, 16) for number in place.split("-"))
                with open(process + "/mem", "rb", 0) as memory:
                    memory.seek(begin)
                    held = memory.read(min(end - begin, 1 << 25))
                seen += 1
                if wanted in held and process != own:
                    print("found in", process, open(process + "/comm").read())
    except OSError:
        continue
print("looked at", seen)
"""
MADE = [Path("/tmp/made-inside"), Path("/dev/shm/made-inside")]
INSIDE = ("bubblewrap", "charliecloud", "apptainer")
DEVICES = dict.fromkeys(
    INSIDE, {*"core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split()}
)
DEVICES["apptainer"] = DEVICES["apptainer"] - {"core", "full"} | {
    "mqueue",
    Path(BELOW_DEV.format(node="n1", index=0)).name,
}
pytestmark = pytest.mark.timeout(300)


@contextmanager
def mounted_read_only(data):
    """What a site without a runtime has to see to: raw data read-only on the nodes."""
    run = lambda *command: subprocess.run([*data.node, *map(str, command)], check=True)  # noqa: E731
    run("mount", "--rbind", data.raw, data.raw)
    run("mount", "-o", "remount,bind,ro", data.raw)
    run("mount", "-o", "remount,bind,ro", data.raw / "below")
    try:
        yield
    finally:
        run("umount", "--recursive", data.raw)


@contextmanager
def ready_for(runtime, data):
    if runtime != "plain":
        yield
        return
    with mounted_read_only(data):
        yield


def as_person(person, script, text="", before=()) -> str:
    done = subprocess.run(
        [*before, "/usr/bin/python3", "-c", script],
        input=text,
        user=person["uid"],
        group=person["gid"],
        extra_groups=[],
        capture_output=True,
        text=True,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("runtime", "form"),
    [
        *((runtime, "unpack") for runtime in (*INSIDE, "plain")),
        *((runtime, "squash") for runtime in INSIDE),
        ("apptainer", "sif"),
        ("bubblewrap", "sif"),
    ],
)
def test_a_session_is_the_same_by_each_runtime(desk, slurm, data, runtime, form):
    image = image_as(form)
    device = gpu_device(runtime, slurm.layout).format(node="n1", index=0)
    command = ["python3", "-c", PROBE, str(data.raw), str(data.processed), str(image), device]
    others = subprocess.Popen(["/bin/sleep", "300"], user=20001, env={"A": "neighbour"})
    os.environ["LEAKED"] = "from the hub"
    try:
        with ready_for(runtime, data), session(desk, image, data, runtime, command=command) as started:
            seen = json.loads((data.processed / "seen.json").read_text())
            check_inside(seen, runtime, data, started.person["home"])
            assert started.door.heard[0]["token"] == TOKEN
            asyncio.run(check_desktop(started))
            check_secrets(started, desk)
            processes = [one for one in started.processes() if one.pid != others.pid]
            assert len(processes) > 8, "server, VNC server, Xfce"
            begun = time.monotonic()
            asyncio.run(desk.launcher.cancel(started.person, started.job))
            wait(lambda: not any(map(alive, processes)), 15, lambda: f"left: {processes}")
            assert time.monotonic() - begun < 10
            said = asyncio.run(desk.launcher.log(started.person, started.made, 200))
            assert any("received signal 15, stopping" in line for line in said), said
            slurm.until(started.job, "CANCELLED")
            wait(lambda: not slurm.strangers(), 15, lambda: slurm.strangers())
            assert slurm.job(started.job)["ExitCode"] == "0:0", "it ended in order"
        outside = [path for path in MADE if path.exists()]
        assert not outside or runtime == "plain", "what is the session's own"
        assert (data.processed / "made-inside").stat().st_uid == 20001
        assert (data.processed / "made-inside").stat().st_gid == 30001, "by the folder's own group"
        assert (data.raw / "measured").read_text() == "counts"
    finally:
        del os.environ["LEAKED"]
        for path in MADE:
            path.unlink(missing_ok=True)
        others.kill()
        others.wait()
        shutil.rmtree(data.processed)
        data.processed.mkdir()
        os.chown(data.processed, 0, 30001)
        data.processed.chmod(0o2770)


def check_inside(seen, runtime, data, home) -> None:
    assert seen["who"] == [20001, 20001, "alice"]
    assert seen["groups"] >= 2, "the team's, though a namespace has no name for it"
    assert seen["cwd"] == "/"
    assert seen["raw"] == "counts"
    assert seen["raw refused"] == ["Read-only file system"] * 3
    for where in ("processed", "home", "tmp", "shm"):
        assert seen[f"{where} refused"] == "", where
    assert seen["capabilities"] == "0000000000000000"
    assert seen["gpu"]
    environment = seen["environment"]
    assert environment["SLURM_JOB_GPUS"] in ("0", "1")
    assert environment["SLURM_CPUS_ON_NODE"] == "1"
    assert re.fullmatch(r"http://0\.0\.0\.0:0/user/alice/s1/", environment["JUPYTERHUB_SERVICE_URL"])
    info = SessionInfo.from_json(environment["VISA_SESSION_INFO"])
    assert len(info.gpus) == 1 and info.ends
    for name in (
        "LEAKED",
        "SLURM_EXPORT_ENV",
        "SLURM_SUBMIT_HOST",
        "SLURM_JOB_USER",
        "TMPDIR",
        "SLURM_WORKING_CLUSTER",
    ):
        assert name not in environment, name
    assert TOKEN not in json.dumps(seen)
    if runtime not in INSIDE:
        return
    assert environment["PATH"] == "/opt/visa/venv/bin:/usr/local/bin:/usr/bin:/bin"
    assert environment["HOME"] == home
    for name in ("PS1", "PROMPT_COMMAND", "LD_LIBRARY_PATH", "PYTHONPATH"):
        assert name not in environment, "a runtime's own"
    assert not seen["new privileges"]
    assert seen["short ways"] == {"raw": str(data.raw), "processed": str(data.processed)}
    # Apptainer's /dev is a small file system of the session's own.
    refused = seen["image refused"][:-1] if runtime == "apptainer" else seen["image refused"]
    assert all(refused), seen["image refused"]
    assert seen["hosts"] == Path("/etc/hosts").read_text()
    passport = json.loads(seen["passport"])
    assert (passport["session"], passport["image"]["recipe"]) == ("s1", "base")
    assert {"jupyterlab", "xfdesktop4"} <= {one["name"] for one in passport["packages"]}
    assert passport["image"]["revision"] != "old", "the image that the job entered"
    assert seen["passport refused"] == "Read-only file system"
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert {*seen["devices"]} - {"new"} == DEVICES[runtime]
    for where in ("tmp", "shm"):
        size, names = seen[where]
        assert size == TMP and names in ([], ["made-inside"]), where
    assert seen["first process"] == (runtime == "bubblewrap")


async def check_desktop(started) -> None:
    for _ in range(100):
        try:
            viewer = await Viewer.open(started)
            break
        except Exception:  # noqa: BLE001 - the VNC server is not up yet
            await asyncio.sleep(0.2)
    assert await viewer.sees()
    viewer.close()


def check_secrets(started, desk) -> None:
    """Nothing of the account's, outside of the session, finds the token."""
    found = as_person(started.person, LOOK, TOKEN)
    assert "/proc" not in found, found
    assert int(found.split()[-1]) > 10, "and it did look"
    # Nor in memory, from another session of theirs on the node. Their other jobs there can look into a
    # namespace of theirs: docs/operators/slurm.md says so.
    before = ["/usr/bin/unshare", "--user", "--map-current-user"] if started.runtime in INSIDE else []
    found = as_person(started.person, SEARCH, TOKEN[::-1], before)
    assert "found in" not in found, found
    assert int(found.split()[-1]) > 10, "and it did look"
    spool = desk.spool / str(started.person["uid"])
    assert not [name for name in desk.files() if name.endswith(".token")]
    done = subprocess.run(["grep", "-r", "-F", "-f", "-", spool], input=TOKEN, text=True)
    assert done.returncode == 1
    for process in started.processes():
        for name in ("environ", "cmdline"):
            try:
                assert TOKEN.encode() not in Path(f"/proc/{process.pid}/{name}").read_bytes(), process
            except (FileNotFoundError, ProcessLookupError):
                continue


def test_without_a_runtime_raw_data_that_can_be_written_end_it(desk, slurm, image, data):
    with pytest.raises(AssertionError, match="are not read-only"):
        with session(desk, image, data, "plain"):
            pass


@pytest.mark.parametrize("runtime", INSIDE)
def test_what_the_node_mounts_later_does_not_appear(desk, slurm, image, data, runtime):
    def on_the_node(*command):
        subprocess.run([*data.node, *map(str, command)], check=True)

    # As systemd has every mount: what comes to one of them comes to all copies of it.
    on_the_node("mount", "--rbind", data.raw, data.raw)
    on_the_node("mount", "--make-rshared", data.raw)
    try:
        with session(desk, image, data, runtime) as started:
            later = data.raw / "below"
            on_the_node("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", later)
            inside = next(one for one in started.processes() if one.name() == "Xtigervnc")
            mounts = Path(f"/proc/{inside.pid}/mountinfo").read_text()
            lines = [line for line in mounts.splitlines() if line.split()[4] == str(later)]
            assert len(lines) == 1 and lines[0].split()[5].startswith("ro,"), lines
    finally:
        on_the_node("umount", "--recursive", data.raw)


def test_two_people_on_one_node_have_a_display_each(desk, slurm, image, data):
    """Without namespaces, X's sockets and locks are the node's; with them, its abstract names still are."""
    with mounted_read_only(data), session(desk, image, data, "plain", "alice") as hers:
        with session(desk, image, data, "bubblewrap", "bob") as his:
            displays = {}
            for started in (hers, his):
                asyncio.run(check_desktop(started))
                wait(lambda started=started: display_of(started), 20, lambda: "no desktop")
                displays[started.person["username"]] = display_of(started)
            assert displays["alice"]["DISPLAY"] != displays["bob"]["DISPLAY"]
            assert look(hers, displays["alice"]).returncode == 0, "her own"
            for env in (
                {"DISPLAY": displays["bob"]["DISPLAY"]},
                {"DISPLAY": displays["bob"]["DISPLAY"], "XAUTHORITY": displays["alice"]["XAUTHORITY"]},
                displays["bob"],
            ):
                done = look(hers, env)
                assert done.returncode and b"unable to open display" in done.stderr, env


def display_of(started) -> dict:
    for process in started.processes():
        try:
            if process.name() == "xfwm4":
                environment = process.environ()
                return {name: environment[name] for name in ("DISPLAY", "XAUTHORITY")}
        except psutil.NoSuchProcess:
            continue
    return {}


def look(started, env):
    who = started.person["uid"]
    return subprocess.run(
        ["xdpyinfo"], env={"PATH": "/usr/bin"} | env, user=who, group=who, capture_output=True, timeout=20
    )
