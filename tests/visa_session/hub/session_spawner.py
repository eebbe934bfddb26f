"""A spawner that runs `visa-session` on this machine, as the hub's own room does it in a container."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

from jupyterhub.apihandlers import default_handlers
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.spawner import Spawner
from tornado.web import authenticated

from images.engine import podman_environment
from visa_session.contract import INFO_VARIABLE, SessionInfo

TREE = Path(__file__).resolve().parents[3]
#: nobody: D-Bus wants an account with a name, as the hub puts it into a container.
UID = pwd.getpwnam("nobody").pw_uid


class Ready(APIHandler):
    """`POST visa/ready` by a session's own token."""

    @authenticated
    def post(self):
        spawners = self.current_user.spawners.values()
        mine = next(spawner for spawner in spawners if spawner.api_token == self.get_auth_token())
        mine.reported.set_result(self.get_json_body()["port"])
        self.set_status(204)


def take_ready() -> None:
    """Add the calls of sessions to the hub's REST API."""
    import sharing

    default_handlers.extend([(r"/api/visa/ready", Ready), *sharing.HANDLERS])


class SessionSpawner(Spawner):
    """Runs a session as an ordinary account."""

    process: subprocess.Popen | None = None
    pid = 0

    def home(self) -> Path:
        home = Path("homes", self.user.name).resolve()
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, UID, UID)
        return home

    def get_env(self):
        env = super().get_env()
        about = {"owner": self.user.name, "name": self.name} | self.user_options.get("info", {})
        env[INFO_VARIABLE] = SessionInfo.from_json(json.dumps(about)).to_json()
        env["JUPYTERHUB_SERVICE_URL"] = "http://127.0.0.1:0" + self.server.base_url
        env["JUPYTERHUB_ACTIVITY_INTERVAL"] = "2"
        # Spares the tests that need no browser a login.
        env["JUPYTERHUB_ALLOW_TOKEN_IN_URL"] = "1"
        env |= {"HOME": str(self.home()), "PYTHONPATH": str(TREE), "LANG": "C.UTF-8"}
        return env | self.user_options.get("environment", {})

    def command(self, env: dict) -> list[str]:
        """What runs the session: this tree, or an image by `{"image", "mounts"}` of the options."""
        told = self.user_options.get("container")
        if not told:
            person = [f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
            return ["setpriv", *person, sys.executable, "-m", "visa_session.start"]
        command = [
            "podman",
            "run",
            "--rm",
            "--network",
            "host",
            "--user",
            f"{UID}:{UID}",
            "--cap-drop",
            "all",
        ]
        command += ["--security-opt", "no-new-privileges", "--shm-size", "256m"]
        command += ["-v", f"{env['HOME']}:{env['HOME']}"]
        command += [word for mount in told["mounts"] for word in ("-v", mount)]
        own = {
            name: value for name, value in env.items() if name not in ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
        }
        command += [word for name in own for word in ("-e", name)]
        return [*command, told["image"], "visa-session"]

    async def start(self):
        self.reported = asyncio.get_running_loop().create_future()
        env = self.get_env()
        if self.user_options.get("container"):
            env = podman_environment() | env
        with open(f"session-{self.user.name}-{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 - a hub for tests may wait for a fork
                self.command(env),
                env=env,
                cwd="/",
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.watch = asyncio.create_task(self.ended())
        return "127.0.0.1", await self.reported

    async def ended(self) -> None:
        """Fail the start at once when the session's process ends before it says that it is ready."""
        while not self.reported.done():
            if self.process.poll() is not None:
                self.reported.set_exception(RuntimeError(f"the session ended with {self.process.returncode}"))
            await asyncio.sleep(0.1)

    # By its process id from then on: a hub that was killed finds it again.
    def get_state(self):
        return super().get_state() | {"pid": self.process.pid if self.process else self.pid}

    def load_state(self, state):
        super().load_state(state)
        self.pid = state.get("pid", 0)

    def clear_state(self):
        super().clear_state()
        self.pid, self.process = 0, None

    async def poll(self):
        if self.process:
            return self.process.poll()
        try:
            os.kill(self.pid or 2**22, 0)
        except ProcessLookupError:
            return 0
        return None

    async def stop(self, now=False):
        if await self.poll() is None:
            os.kill(self.process.pid if self.process else self.pid, signal.SIGTERM)
        for _ in range(150):
            if await self.poll() is not None:
                return
            await asyncio.sleep(0.1)
