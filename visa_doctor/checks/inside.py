"""TLS between proxy, hub and sessions: authority, the hub's certificate, the way by which sessions ask."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from jupyterhub.utils import url_path_join

from visa_spawner.inside.authority import CERTIFICATE, KEY, Authority
from visa_spawner.inside.making import HUB_CERTIFICATE, HUB_KEY
from visa_spawner.running import certificate

from ..certificates import days_left
from ..finding import Finding, fine, warning, wrong
from ..http import NOBODY, NoAnswer, ask
from ..installation import Installation
from ..looking import Look

_AGAIN = "`site.yml --tags hub,tls_proxy` makes what lacks (docs/operators/deployment.md)"


async def look(here: Installation) -> Look:
    """The files as the hub reads them, then the hub's API as a session asks it."""
    if not here.site.authority_dir:
        yield _plain(here)
        return
    folder = Path(here.site.authority_dir)
    try:
        authority = Authority.read(folder)
    except (OSError, ValueError) as error:
        yield wrong(
            f"The authority of sessions makes no sense, and the hub does not start: {error}.",
            f"{_AGAIN}; one that was lost is in the last backup, and sessions that run believe no other.",
            stops=True,
        )
        return
    faults = list(_files(folder))
    way = here.config.VisaSpawner.get("hub_connect_url") or here.hub_url
    faults += [fault async for fault in _way(here, authority, way)]
    for fault in faults:
        yield fault
    if not faults:
        ends = authority.certificate.not_valid_after_utc
        yield fine(f"Sessions serve TLS, and reach the hub at {way}, until {ends:%d %b %Y}.")


def _plain(here: Installation) -> Finding:
    elsewhere = sorted(node.name for node in here.nodes if _elsewhere(node.engine))
    elsewhere += ["the cluster"] if here.plans("slurm") else []
    if not elsewhere:
        return fine("Sessions serve plain HTTP, on this machine alone.")
    return warning(
        f"Sessions on {', '.join(elsewhere)} serve plain HTTP: whoever listens on the way there reads along.",
        "Set `visa_inside`, or c.VisaSite.authority_dir and the proxy's --client-ssl-ca; or encrypt that"
        " network below.",
    )


def _files(folder: Path) -> Iterator[Finding]:
    for name, whom in ((KEY, "any session"), (HUB_KEY, "the hub")):
        path = folder / name
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
        if mode & 0o077:
            yield wrong(
                f"{path} can be read by others (mode {mode:o}): they can stand in for {whom}.",
                f"`chmod 600 {path}`; if somebody may have, make a new one once no session runs.",
            )
    for name, what in (
        (CERTIFICATE, "authority of sessions"),
        (HUB_CERTIFICATE, "hub's certificate for sessions"),
    ):
        path = folder / name
        if name == HUB_CERTIFICATE and not path.exists():
            continue  # whoever answers in its place may have another's
        try:
            yield from days_left(certificate.read(path), f"The {what} ({path})", f"{_AGAIN}.")
        except (OSError, ValueError) as error:
            yield wrong(f"The {what} cannot be read: {error}.", f"{_AGAIN}.")


async def _way(here: Installation, authority: Authority, way: str) -> Look:
    """Whether a session would believe who answers at the hub's address."""
    scheme, address = urlsplit(way).scheme, url_path_join(way, here.app.hub_prefix, "api/")
    if scheme != "https":
        if _elsewhere(way) and (any(_elsewhere(node.engine) for node in here.nodes) or here.plans("slurm")):
            yield warning(
                f"Sessions reach the hub by plain HTTP ({way}): whoever listens there reads their tokens.",
                "Have a web server before its API, and name that in c.VisaSpawner.hub_connect_url.",
            )
        return
    trusting = ssl.create_default_context(cadata=authority.pem)
    try:
        answer = await ask(address, here.limit * 0.4, trust=trusting)
    except NoAnswer as error:
        yield wrong(
            f"Sessions do not reach the hub at {way}: {error}. Those that run go on, none starts.",
            f"`systemctl status nginx`, `nginx -t`; {_AGAIN}.",
        )
        return
    if answer.status != 200:
        yield wrong(
            f"At {way}, where sessions reach the hub, the answer is {answer.status}.",
            "See the check hub; the web server must give them what is below /hub/api/.",
            because="hub" if answer.status in NOBODY else "",
        )


def _elsewhere(address: str) -> bool:
    """Whether an address leads to, or from, another machine; a unix socket does not."""
    host = urlsplit(address).hostname
    try:
        return bool(host) and not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
