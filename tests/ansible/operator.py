"""An operator at a machine of their own, who types what a page says and reaches other machines by ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import facility
from .instructions import Instructions
from .machines import Machine
from .playbook import ROOT, Played

#: What is no part of the tree that is cloned, but made in it.
MADE = shutil.ignore_patterns(
    ".git", ".venv*", "node_modules", "novnc", "dist", "results", "cache", "__pycache__"
)
PASSWORD = "password of the vault"
#: Whoever edits the vault writes there what they have from elsewhere.
EDITOR = """#!/bin/sh
exec sed -i {} "$1"
"""


def let_in(machine: Machine, key: Path) -> None:
    """Have a machine's ssh server believe whoever has this key, as root."""
    line = "install -d -m 700 /root/.ssh && cat > /root/.ssh/authorized_keys"
    machine.write(key.read_bytes(), line)


@dataclass
class Operator:
    """`folder` is where they work, with the tree of VISA below; their login provider listens at `port`."""

    folder: Path
    told: Instructions
    port: int

    @property
    def tree(self) -> Path:
        return self.folder / "visa"

    @property
    def inventory(self) -> Path:
        return self.tree / "ansible/inventories/mine"

    def clone(self) -> None:
        """In place of git, so that what is not committed is tried too."""
        shutil.copytree(ROOT, self.tree, ignore=MADE)
        programs = self.folder / "bin"
        programs.mkdir()
        self.knows(oauth_client=facility.CLIENT_SECRET)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "key"], check=True)

    def knows(self, **secrets: str) -> None:
        """What goes into the vault, by its names there."""
        editor = self.folder / "bin/editor"
        lines = [f"""-e 's|_{name}: ""|_{name}: "{value}"|'""" for name, value in secrets.items()]
        editor.write_text(EDITOR.format(" ".join(lines)))
        editor.chmod(0o755)

    def is_let_in(self, machine: Machine) -> None:
        """By ssh as root, which whoever installs a machine sees to."""
        machine.install("openssh-server")
        let_in(machine, self.folder / "key.pub")

    def types(self, commands: str, where: str = ".", answers: str = "", seconds: float = 1200) -> Played:
        """Run commands in a shell, in a folder of the tree; `answers` are what is typed at questions."""
        # Sockets of ssh's have short paths only.
        with tempfile.TemporaryDirectory(prefix="visa-ssh-") as sockets:
            ssh = ["-i", str(self.folder / "key"), "-o", "IdentitiesOnly=yes"]
            ssh += ["-o", "StrictHostKeyChecking=accept-new"]
            ssh += ["-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}"]
            ssh += ["-o", "ControlMaster=auto", "-o", "ControlPersist=60s"]
            environment = os.environ | {
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin:/usr/sbin:/sbin",
                "ANSIBLE_HOME": str(self.folder / "ansible"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_SSH_ARGS": " ".join(["-F", "none", *ssh]),
                "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets,
                "LC_ALL": "C.UTF-8",
            }
            log = self.folder / "typed.log"
            with log.open("a+") as file:
                begin = file.tell()
                done = subprocess.run(
                    ["bash", "-e", "-c", commands],
                    cwd=self.tree / where,
                    env=environment,
                    input=answers,
                    stdout=file,
                    stderr=file,
                    text=True,
                    start_new_session=True,  # without a terminal, questions are answered from `answers`
                    timeout=seconds,
                )
                file.seek(begin)
                return Played(done.returncode, file.read())
