"""A whole session in a job, by the launcher: the real image's, with data and a made-up GPU."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from slurm_cluster import wait
from slurm_desk import JOB, ROOT, TOKEN, mark
from slurm_door import PERSONS_TOKEN, Door

from demo.cluster.gpus import DEV_NULL
from demo.cluster.layout import NODES
from tests import apptainer
from visa_session.contract import PASSPORT, ExperimentInfo, SessionInfo

TMP = 96 << 20
#: Kept for the next run: it takes twenty seconds, and changes only when the image does.
IMAGES = Path("/var/lib/visa-test-images")
#: Days before the job ran: the image was another one then.
WRITTEN_BY_THE_HUB = {"session": "s1", "image": {"recipe": "base", "revision": "old"}, "packages": []}
#: Apptainer gives devices below /dev alone, and the cluster's made-up GPUs are elsewhere.
BELOW_DEV = f"/dev/visa-test-{os.getpid()}-{{node}}-gpu{{index}}"


@pytest.fixture(scope="module")
def image():
    """The base image, unpacked."""
    return image_as("unpack")


def image_as(form: str) -> Path:
    """The base image in another form: `unpack`, `squash` or `sif`."""
    # An hour, for another run of these tests on the same machine.
    command = [sys.executable, "-m", f"images.{form}", "base", IMAGES, "--keep-hours", "1"]
    subprocess.run(command, cwd=ROOT, check=True)
    return IMAGES / {"unpack": "base", "squash": "base.squashfs", "sif": "base.sif"}[form]


@pytest.fixture(scope="module", autouse=True)
def node_has_it_all(slurm_daemons):
    """Apptainer, made-up GPUs below /dev, and /dev/fuse open to all as it is wherever udev runs."""
    apptainer.install()
    for old in Path("/dev").glob("visa-test-*"):
        if not psutil.pid_exists(int(old.name.split("-")[2])):  # of a run that was killed
            old.unlink()
    made = [Path(BELOW_DEV.format(node=node.name, index=i)) for node in NODES for i in range(node.gpus)]
    fuse = slurm_daemons.folder / "fuse"
    for path, number in [*((path, DEV_NULL) for path in made), (fuse, os.makedev(10, 229))]:
        os.mknod(path, 0o666 | stat.S_IFCHR, number)
        path.chmod(0o666)
    node = ["nsenter", f"--target={slurm_daemons.process_of('slurmd-n1').pid}", "--mount", "--pid"]
    subprocess.run([*node, "mount", "--bind", fuse, "/dev/fuse"], check=True)
    yield
    subprocess.run([*node, "umount", "/dev/fuse"], check=True)
    for path in (*made, fuse):
        path.unlink()


def gpu_device(runtime, layout) -> str:
    return BELOW_DEV if runtime == "apptainer" else layout.gpu_device


@pytest.fixture(scope="module")
def data(slurm_daemons):
    """Raw and processed data, with a mount of its own below the raw ones on the node that has A100s."""
    folder = slurm_daemons.folder / "data/a1"
    raw, processed = folder / "RAW_DATA", folder / "PROCESSED_DATA"
    for path in (raw / "below", processed):
        path.mkdir(parents=True)
    (raw / "measured").write_text("counts")
    # As a detector's account may leave them: only the mount keeps a session from writing there.
    for path in (raw, raw / "measured"):
        path.chmod(0o777)
    os.chown(processed, 0, 30001)
    processed.chmod(0o2770)
    node = ["nsenter", f"--target={slurm_daemons.process_of('slurmd-n1').pid}", "--mount", "--pid"]
    subprocess.run([*node, "mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", raw / "below"], check=True)
    yield SimpleNamespace(raw=raw, processed=processed, node=node)
    subprocess.run([*node, "umount", raw / "below"], check=True)


class Started:
    """A session that said that it is ready, as `Viewer` takes it."""

    def __init__(self, desk, runtime, job, made, door, name):
        self.desk, self.runtime, self.job, self.made, self.door = desk, runtime, job, made, door
        self.person, self.token = desk.person(name), PERSONS_TOKEN
        node = desk.cluster.job(job)["BatchHost"]
        address = {"n1": "127.0.21.1", "n2": "127.0.21.2"}.get(node, "127.0.0.1")
        self.url = f"http://{address}:{door.heard[0]['port']}{door.prefix}"

    def processes(self) -> list[psutil.Process]:
        """All of the person's on the node."""
        found = []
        for process in self.desk.cluster.process_of("n1").children(recursive=True):
            try:
                if process.uids().real == self.person["uid"]:
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found


@contextmanager
def session(desk, image, data, runtime, name="alice", command=None, **changes):
    """A session while inside; by its end it is gone."""
    door = Door(name, "s1")
    account = desk.cluster.account(name)
    experiment = ExperimentInfo(id="a1", raw=str(data.raw), processed=str(data.processed))
    info = SessionInfo(owner=name, name="s1", interface="desktop", experiments=(experiment,))
    environment = {"HOME": account.home, "USER": name, "LOGNAME": name, "LANG": "C.UTF-8"}
    environment |= door.environment | {"VISA_SESSION_INFO": info.to_json()}
    if runtime == "plain":
        environment["PATH"] = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    plan = desk.plan(
        name,
        runtime=runtime,
        image=str(image),
        command=command or ["visa-session"],
        binds=[{"path": str(data.raw), "read_only": True}, {"path": str(data.processed), "read_only": False}]
        + [{"path": account.home, "read_only": False}],
        short_ways={"/experiments/a1/raw": str(data.raw), "/experiments/a1/processed": str(data.processed)},
        texts={PASSPORT: json.dumps(WRITTEN_BY_THE_HUB)},
        environment=environment,
        gpus=1,
        gpu_device=gpu_device(runtime, desk.cluster.layout),
        tmp_bytes=TMP,
        listen="0.0.0.0",
        **changes,
    )
    made, job = mark(), JOB | {"memory_mb": 1500, "gpus": 1, "gpu_type": "a100", "partition": "gpu"}
    id = asyncio.run(desk.launcher.submit(desk.person(name), made, job, plan, TOKEN))

    def said():
        return "\n".join(asyncio.run(desk.launcher.log(desk.person(name), made, 60)))

    try:
        wait(lambda: door.heard or over(desk, id), 60, lambda: f"not ready: {said()}")
        assert door.heard, said()
        yield Started(desk, runtime, id, made, door, name)
    finally:
        asyncio.run(desk.launcher.cancel(desk.person(name), id))
        wait(lambda: over(desk, id), 30, lambda: desk.cluster.job(id))
        door.close()


def over(desk, job) -> bool:
    return desk.cluster.job(job)["JobState"] in ("CANCELLED", "FAILED", "COMPLETED")
