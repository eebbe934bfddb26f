"""Runs the playbooks as an operator does, with Ansible from the test environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from images.engine import podman_environment

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"
BIN = Path(sys.executable).parent
#: The package that carries collections; taken from it is the way into a container alone.
COLLECTIONS = "ansible==12.2.0"
CARRIED = ("containers/podman",)
CACHE = Path("/var/lib/visa-test-ansible")

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


@dataclass
class Played:
    """A run that is over: its exit code, all it said, and what changed on each machine."""

    code: int
    said: str

    @property
    def changed(self) -> dict[str, int]:
        return {host: int(changed) for host, _, changed, _, _ in RECAP.findall(self.said)}

    @property
    def changes(self) -> str:
        """The tasks that changed something, for who has to find out why."""
        tasks = re.findall(r"^TASK \[(.*?)\].*\n((?:(?!TASK|PLAY|RUNNING).*\n)*)", self.said, re.MULTILINE)
        return "\n".join(name for name, lines in tasks if "changed: [" in lines)


def collections() -> Path:
    """A folder with the collections that the tests use, kept for the next run."""
    place = CACHE / COLLECTIONS.replace("==", "-")
    if not place.exists():
        new = CACHE / "new"
        subprocess.run(["rm", "-rf", str(new)], check=True)
        new.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q", "--no-deps"]
        subprocess.run([*pip, "--only-binary=:all:", "-d", str(new), COLLECTIONS], check=True)
        (archive,) = new.glob("*.whl")
        wanted = tuple(f"ansible_collections/{name}/" for name in CARRIED)
        # The whole of it is half a gigabyte.
        with zipfile.ZipFile(archive) as content:
            content.extractall(new, [name for name in content.namelist() if name.startswith(wanted)])
        archive.unlink()
        new.rename(place)
    return place


def environment(home: Path) -> dict[str, str]:
    return podman_environment() | {
        "PATH": f"{BIN}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_HOME": str(home),
        "ANSIBLE_COLLECTIONS_PATH": str(collections()),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_RETRY_FILES_ENABLED": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "LC_ALL": "C.UTF-8",
    }


def play(inventory: Path, name: str, *options: str, timeout: float = 900) -> Played:
    """Run a playbook of ansible/ on an inventory folder, which has the vault's password in `password`."""
    command = [str(BIN / "ansible-playbook"), "-i", str(inventory / "hosts.yml"), name]
    if (inventory / "password").exists():
        command += ["--vault-password-file", str(inventory / "password")]
    done = subprocess.run(
        [*command, *options],
        cwd=ANSIBLE,
        env=environment(inventory.parent / "ansible-home"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    (inventory.parent / f"{Path(name).stem}.log").write_text(done.stdout)
    return Played(done.returncode, done.stdout)


def played(inventory: Path, name: str, *options: str) -> Played:
    """The same, for one that has to succeed."""
    done = play(inventory, name, *options)
    assert done.code == 0, done.said[-6000:]
    return done
