"""Block an account at the demo's login provider, and let it in again: what a user office would do.

    python -m demo.blocking                 who is blocked
    python -m demo.blocking block bob
    python -m demo.blocking unblock bob

For root on this machine alone: the provider listens for it on a socket in the demo's run folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from .site import Site


def ask(socket: Path, method: str, path: str):
    """One question to the provider's administration; raises httpx errors, 404 for an unknown account."""
    transport = httpx.HTTPTransport(uds=str(socket))
    with httpx.Client(transport=transport, trust_env=False, timeout=10) as client:
        return client.request(method, f"http://provider{path}").raise_for_status().json()


def block(socket: Path, name: str) -> bool:
    """Block an account; it is logged out at once. Whether the hub was told of it."""
    return ask(socket, "POST", f"/accounts/{name}/block")["told"]


def unblock(socket: Path, name: str) -> None:
    """Let an account log in again."""
    ask(socket, "POST", f"/accounts/{name}/unblock")


def blocked(socket: Path) -> list[str]:
    """Names of the accounts that are blocked."""
    return [account["name"] for account in ask(socket, "GET", "/accounts") if account["blocked"]]


def main(arguments: list[str]) -> None:
    socket = Site.from_environment().admin_socket
    try:
        match arguments:
            case []:
                print("\n".join(blocked(socket)) or "Nobody is blocked.")
            case ["block", name]:
                told = block(socket, name)
                print(f"{name} is blocked. The hub was {'told' if told else 'not told: see the log'}.")
            case ["unblock", name]:
                unblock(socket, name)
                print(f"{name} may log in again.")
            case _:
                raise SystemExit(__doc__)
    except httpx.HTTPStatusError:
        raise SystemExit(f"There is no account {arguments[-1]!r}") from None
    except httpx.HTTPError:
        raise SystemExit(f"No demo answers at {socket}: is it running?") from None


if __name__ == "__main__":
    main(sys.argv[1:])
