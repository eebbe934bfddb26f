"""Something that moves on a session's display: the scene of the figures, told what to do."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.sharing.desk import SCENE

from . import display
from .hub.session_spawner import UID
from .hubside import Session


class Moving:
    """The scene, on top of all else, at rest at first."""

    def __init__(self, session: Session):
        env = {"PATH": os.environ["PATH"], "HOME": "/"} | display.x_environment(session)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-c", SCENE], env=env, user=UID, group=UID, **pipes)
        assert self.process.stdout.readline().startswith(b"ready")

    def tell(self, command: str) -> str:
        """Have it do something, see `bench/sharing/scene.py`; its answer."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
