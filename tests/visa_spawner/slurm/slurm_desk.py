"""The launcher, installed as on a hub's machine: programs, configuration, and a rule for sudo."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, wait

from visa_spawner.backends.slurm import programs
from visa_spawner.backends.slurm.launcher import Launcher

ROOT = Path(__file__).resolve().parents[3]
HUB = f"visatesthub{os.getpid()}"
HUB_ID = "desk"
JOB = {"partition": "", "account": "", "qos": "", "reservation": "", "gpu_type": ""}
JOB |= {"cpus": 1, "memory_mb": 300, "gpus": 0, "nodes": 1, "tasks": 1, "minutes": 10}
TOKEN = "0123456789abcdef0123456789abcdef"


class Desk:
    """Where the launcher is asked; `launcher` asks as the hub's account, by sudo."""

    def __init__(self, cluster: SlurmCluster, folder: Path):
        self.cluster, self.folder = cluster, folder
        self.spool, self.configuration = folder / "spool", folder / "slurm.json"
        self.program, self.node_program = folder / programs.LAUNCH, folder / programs.NODE
        self.values = programs.EXAMPLE | {
            "slurm_conf": str(cluster.slurm_conf),
            "node_program": str(self.node_program),
            "spool": f"{self.spool}/{{uid}}",
            "extend": True,
            "hub_id": HUB_ID,
            "timeout": 8,
        }
        hub = pwd.getpwnam(HUB)
        self.by_sudo = [
            "/usr/bin/setpriv",
            f"--reuid={hub.pw_uid}",
            f"--regid={hub.pw_gid}",
            "--clear-groups",
        ]
        self.by_sudo += ["/usr/bin/sudo", "-n", str(self.program)]

    def configure(self, **changes) -> None:
        """Write the configuration, with changes."""
        self.configuration.write_text(json.dumps(self.values | changes))
        self.configuration.chmod(0o644)

    @property
    def launcher(self) -> Launcher:
        return Launcher(self.by_sudo, timeout=30, at_once=4)

    def ask(self, request: bytes | dict, command: list[str] | None = None) -> dict:
        """One request as it is, as root or by a command; the answer, which comes with the code 0."""
        text = request if isinstance(request, bytes) else json.dumps(request).encode()
        done = subprocess.run(command or [str(self.program)], input=text, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, b""), done
        return json.loads(done.stdout)

    def refuses_to_run(self, *arguments: str, **options) -> str:
        """What it says when it must not run at all."""
        done = subprocess.run(
            [str(self.program), *arguments], input=b"{}", capture_output=True, timeout=60, **options
        )
        assert (done.returncode, done.stdout) == (78, b""), done
        return done.stderr.decode()

    def person(self, name: str = "alice") -> dict:
        account = self.cluster.account(name)
        return {"username": name, "uid": account.uid, "gid": account.gid, "home": account.home}

    def plan(self, name: str = "alice", **changes) -> dict:
        """A plan whose command says what it was given, and waits."""
        script = "import os, sys; print('ready', sys.stdin.read().strip()[::-1], flush=True);"
        script += "import signal; signal.sigwait({signal.SIGTERM}); print('ended in order', flush=True)"
        account = self.cluster.account(name)
        return {
            "runtime": "plain",
            "image": "/usr",
            "command": ["/usr/bin/python3", "-I", "-c", script],
            "person": self.person(name) | {"gids": list(account.gids)},
            "binds": [],
            "short_ways": {},
            "texts": {},
            "environment": {
                "HOME": account.home,
                "VISA_SESSION_INFO": json.dumps({"owner": name, "name": "typed by a person"}),
                "JUPYTERHUB_SERVICE_PREFIX": "/user/x/y/",
            },
            "gpus": 0,
            "gpu_device": self.cluster.layout.gpu_device,
            "gpu_common": [],
            "minutes": 10,
            "extra_binds": [],
            "tmp_bytes": 1 << 27,
            "listen": "127.0.0.1",
        } | changes

    def submission(self, name: str = "alice", **changes) -> dict:
        """A whole request that is fine, but for the changes."""
        return {
            "do": "submit",
            "person": self.person(name),
            "mark": mark(),
            "job": dict(JOB),
            "plan": self.plan(name),
            "token": TOKEN,
        } | changes

    def files(self, name: str = "alice") -> list[str]:
        """What a person has in the spool."""
        directory = self.spool / str(self.cluster.account(name).uid)
        return sorted(path.name for path in directory.iterdir()) if directory.is_dir() else []

    def empty(self) -> None:
        """Leave the spool as it was found."""
        for path in self.spool.iterdir():
            path.unlink() if path.is_symlink() else shutil.rmtree(path)


def mark(hub: str = HUB_ID) -> str:
    return f"visa:{hub}:{secrets.token_hex(16)}"


def _install(cluster: SlurmCluster, place: Path) -> Desk:
    folder = cluster.folder / "desk"
    folder.mkdir(mode=0o755)
    desk = Desk(cluster, folder)
    desk.spool.mkdir()
    desk.spool.chmod(0o1777)
    command = [sys.executable, "-m", "visa_spawner.backends.slurm.programs", str(folder)]
    command += ["--configuration", str(desk.configuration), "--launcher", str(desk.program)]
    rule = subprocess.run(
        [*command, "--show-sudoers", HUB], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    desk.configure()
    checked = folder / "sudoers"
    checked.write_text(rule)
    checked.chmod(0o440)
    subprocess.run(["/usr/sbin/visudo", "-c", "-f", str(checked)], check=True, capture_output=True)
    shutil.copy(checked, place)
    place.chmod(0o440)
    return desk


@contextmanager
def installed(cluster: SlurmCluster) -> Iterator[Desk]:
    """The desk while inside; of the account and of sudo's files nothing is left."""
    for old in Path("/etc/sudoers.d").glob("visa-test-*"):
        number = old.name.rpartition("-")[2]
        if not os.path.exists(f"/proc/{number}"):  # of a run that was killed
            old.unlink()
            subprocess.run(["/usr/sbin/userdel", f"visatesthub{number}"], capture_output=True)
    # A whole account of the machine's: sudo asks for more than a name and a number.
    subprocess.run(
        ["/usr/sbin/useradd", "--system", "--no-create-home", HUB], check=True, capture_output=True
    )
    place = Path(f"/etc/sudoers.d/visa-test-{os.getpid()}")
    try:
        yield _install(cluster, place)
    finally:
        place.unlink(missing_ok=True)
        subprocess.run(["/usr/sbin/userdel", HUB], check=True, capture_output=True)


@pytest.fixture(scope="session")
def installed_desk(slurm_daemons):
    with installed(slurm_daemons) as desk:
        yield desk


@pytest.fixture
def desk(installed_desk, slurm):
    """The launcher, and an idle cluster behind it; an empty spool before and after."""
    yield installed_desk
    installed_desk.configure()
    if waiting := [line.split()[0] for line in slurm.jobs()]:
        slurm.run("scancel", *waiting)
    wait(lambda: not slurm.jobs(), 60, lambda: f"not over: {slurm.jobs()}")
    installed_desk.empty()
