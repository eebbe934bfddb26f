"""The bare stock single-user process, in a container of the plain image that runs already.

No hub, no engine and no proxy in the way: from starting the process to its first answer, timed inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .hub import Hub
from .network import HOLDER, Network
from .podman import podman
from .stock import PORT

INSIDE = Path(__file__).with_name("bare_inside.py")


@dataclass(frozen=True)
class Bare:
    """The container to start the process in, and the stock hub that it belongs to."""

    hub: Hub
    network: Network

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
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:8888{prefix}",
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
            "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!server={user}/bare"]',
        }

    async def start(self) -> float:
        """Seconds from starting the process to its first answer; the process is gone afterwards."""
        told = [word for name, value in self.environment.items() for word in ("--env", f"{name}={value}")]
        return float(await podman("exec", "-i", *told, HOLDER, "python3", "-", stdin=INSIDE.read_bytes()))
