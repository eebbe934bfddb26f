"""Where the hub and its proxy reach a session, when that becomes known without a start of the hub's own."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub

#: How often a proxy that does not take a route is asked, and seconds between two attempts. The hub looks at
#: all routes by itself, some minutes later.
ATTEMPTS, PAUSE = 30, 1.0


def set_address(spawner) -> None:
    """Write down where the session's server is, as the hub does after a start. Committed by the caller."""
    address, server = urlsplit(spawner.kept.url), spawner.server
    server.proto, server.ip = address.scheme, address.hostname
    server.port = address.port or {"http": 80, "https": 443}[address.scheme]


async def reach(spawner) -> bool:
    """Have the proxy lead to the session where it is now; whether it has taken that."""
    for _ in range(ATTEMPTS):
        try:
            await JupyterHub.instance().proxy.add_user(spawner.user, spawner.name)
            return True
        except Exception:
            spawner.log.exception("%s: the proxy did not take its route; trying again", spawner._log_name)
            await asyncio.sleep(PAUSE)
    return False


async def forget(spawner) -> bool:
    """Have the proxy lead nowhere any more, which is the hub's page that tells how the session stands.

    Gives whether it has taken that.
    """
    try:
        await JupyterHub.instance().proxy.delete_user(spawner.user, spawner.name)
        return True
    except Exception:
        spawner.log.exception("%s: the proxy did not give up its route", spawner._log_name)
        return False
