"""Whether the site's name and every name below it lead to the same place: each person has one."""

from __future__ import annotations

import ipaddress
import secrets
import socket

from ..finding import fine, warning, wrong
from ..installation import Installation
from ..looking import Look, in_thread


async def look(here: Installation) -> Look:
    """The site's name, and one that nobody has ever asked for."""
    host = here.host
    if _is_address(host):
        mend = "Give VISA_URL by a name, with a DNS entry for it and a wildcard below it."
        yield wrong(f"The site has no name, only the address {host}: there are no names below it.", mend)
        return
    if host == "localhost" or host.endswith(".localhost"):
        yield fine(f"Browsers resolve {host} and all below it by themselves.")
        return
    below = f"visa-doctor-{secrets.token_hex(4)}.{host}"
    there = await in_thread(lambda: _addresses(host))
    if not there:
        mend = f"Enter it in the DNS, beside `*.{host}`; `getent hosts {host}` shows what this machine knows."
        yield wrong(f"The name {host} is not known: nobody finds the site.", mend)
        return
    all_below = await in_thread(lambda: _addresses(below))
    if not all_below:
        yield wrong(
            f"{host} is known and names below it are not ({below}): portal and sessions do not open.",
            f"Enter a wildcard `*.{host}` in the DNS, to the same address.",
        )
    elif not there & all_below:
        yield wrong(
            f"{host} leads to {_said(there)}, and names below it to {_said(all_below)}.",
            f"Let `*.{host}` lead to the same address.",
        )
    elif there != all_below:
        yield warning(
            f"{host} leads to {_said(there)}, and names below it to {_said(all_below)}.",
            "Give both the same addresses: some people reach the one and not the other.",
        )
    else:
        yield fine(f"{host} and every name below it lead to {_said(there)}.")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(name: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def _said(addresses: set[str]) -> str:
    return ", ".join(sorted(addresses))
