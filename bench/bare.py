"""A session's process alone, started by hand in a container that runs already.

No hub, engine and proxy in the way: from starting the process to its first answer, timed inside. The stock
process in the plain image; and in our own image that same process, and the command of our sessions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from images.engine import podman_environment
from visa_session.contract import INFO_VARIABLE, SessionInfo

from .hub import BenchFailed, Hub
from .network import HOLDER, OWN_HOLDER, OWN_HOME, Network
from .podman import podman
from .stock import PORT

INSIDE = Path(__file__).with_name("bare_inside.py").read_text()
STOCK_COMMAND = "jupyterhub-singleuser"


@dataclass(frozen=True)
class Bare:
    """What to start, the container to start it in, and the stock hub that it belongs to."""

    hub: Hub
    network: Network
    holder: str = HOLDER
    command: str = STOCK_COMMAND
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a hub tells its single-user servers."""
        user, prefix = self.hub.user, f"/user/{self.hub.user}/bare/"
        return {
            "JUPYTERHUB_API_TOKEN": self.hub.token,
            "JUPYTERHUB_API_URL": f"http://{self.network.gateway}:{PORT + 1}/hub/api",
            "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{user}-bare",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_USER": user,
            "JUPYTERHUB_SERVER_NAME": "bare",
            "JUPYTERHUB_SERVICE_PREFIX": prefix,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:8888{prefix}",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!server={user}/bare"]',
            **self.more,
        }

    def in_own_image(self) -> Bare:
        """The stock process in our own image."""
        return Bare(self.hub, self.network, OWN_HOLDER, more={"HOME": OWN_HOME})

    def session(self) -> Bare:
        """The command of our sessions, in our own image."""
        info = SessionInfo(owner=self.hub.user, name="bare").to_json()
        more = {"HOME": OWN_HOME, INFO_VARIABLE: info}
        return Bare(self.hub, self.network, OWN_HOLDER, "visa-session", more)

    async def start(self) -> float:
        """Seconds from starting the process to its first answer; the process is gone afterwards."""
        began, answered = (await podman(*self._words(), stdin=b"")).split()
        return float(answered) - float(began)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[tuple[float, str]]:
        """The process, once it answers: when it was started, and its address with a slash at the end."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = (await podman("inspect", "--format", form, self.holder)).strip()
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            "podman", *self._words(), stdin=pipe, stdout=pipe, env=podman_environment()
        )
        try:
            told = (await process.stdout.readline()).split()
            if len(told) != 2:
                raise BenchFailed(f"{self.command} started by hand does not answer")
            yield float(told[0]), f"http://{address}:8888{self.environment['JUPYTERHUB_SERVICE_PREFIX']}"
        finally:
            process.stdin.close()
            await process.wait()

    def _words(self) -> list[str]:
        told = [word for name, value in self.environment.items() for word in ("--env", f"{name}={value}")]
        return ["exec", "-i", *told, self.holder, "python3", "-c", INSIDE, self.command]
