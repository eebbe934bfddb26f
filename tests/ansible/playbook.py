"""Runs the playbooks as an operator does, from the test environment, which the machine has bound.

In the machine itself: from outside, each task would be several commands of the engine's.
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import ansible

from .machines import Machine, podman

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = ROOT / "ansible"
BIN = Path(sys.executable).parent

#: For a machine's own Python: it takes what Ansible's modules have in common from where that is compiled
#: already, and not out of each module's archive. A third of a task's CPU time.
COMPILED = """
import sys
from importlib.machinery import PathFinder


class Compiled:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "ansible":
            return PathFinder.find_spec(name, [{place!r}])


sys.meta_path.insert(0, Compiled)
"""

RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
SETTINGS = {
    "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_DEPRECATION_WARNINGS": "0",
    "LC_ALL": "C.UTF-8",
}


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


def hasten(machine: Machine, place: str = str(Path(ansible.__file__).parents[1])) -> None:
    """Have a machine run this Ansible's modules with less CPU time; `place` is where it sees Ansible."""
    folder = machine.said("/usr/bin/python3 -c 'import site; print(site.getsitepackages()[0])'")
    module, line = f"{folder}/visa_compiled.py", f"echo import visa_compiled > {folder}/visa.pth"
    script = f"mkdir -p {folder} && cat > {module} && {line}"
    machine.write(COMPILED.format(place=place).encode(), script)


def environment(home: Path) -> dict[str, str]:
    """That of Ansible's programs which need no machine; `home` is where they keep things."""
    path = f"{BIN}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    return {**os.environ, **SETTINGS, "PATH": path, "ANSIBLE_HOME": str(home)}


def play(machine: Machine, inventory: Path, name: str, *options: str, **environment: str) -> Played:
    """Run a playbook of ansible/ on an inventory folder, which has the vault's password in `password`."""
    command = [machine.ansible or str(BIN / "ansible-playbook"), "-i", str(inventory / "hosts.yml"), name]
    command += ["--vault-password-file", str(inventory / "password"), *options]
    where = [
        "--workdir",
        str(ANSIBLE),
        *(word for it in {**SETTINGS, **environment}.items() for word in ("--env", "=".join(it))),
    ]
    done = podman("exec", *where, machine.name, *command, check=False, timeout=900)
    said = done.stdout + done.stderr
    (inventory.parent / f"{machine.name}-{Path(name).stem}.log").write_text(said)
    return Played(done.returncode, said)


def played(machine: Machine, inventory: Path, name: str, *options: str, **environment: str) -> Played:
    """The same, for one that has to succeed."""
    done = play(machine, inventory, name, *options, **environment)
    assert done.code == 0, done.said[-6000:]
    return done
