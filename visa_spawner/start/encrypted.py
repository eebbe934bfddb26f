"""Sessions that serve TLS: what they are given for their word that they listen, and how they are reached."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub

from ..session import StartRefused


def certificate(spawner, request: str) -> str:
    """What a session that sent this request serves with, in PEM; "" where sessions here serve plain HTTP.

    Raises StartRefused when it asks for what it cannot have, or does not ask though it has to.
    """
    authority = spawner.site.authority
    if authority is None and request:
        raise StartRefused("this hub signs none any more; start the session anew", field="request")
    # One that was queued before the site had an authority knows of none, and nothing is wrong with its image.
    if authority is None or not request and not spawner.kept.is_to_encrypt:
        return ""
    if not request:
        said = "sessions have to serve TLS here, and this one's image is older than that: build it anew"
        raise StartRefused(said, field="request")
    try:
        return authority.sign(request, name(spawner))
    except ValueError as error:
        raise StartRefused(str(error), field="request") from error


def name(spawner) -> str:
    """The name under which the owner's sessions are reached, and nobody else's: what the proxy looks for.

    It takes it from the browser's own request, since each person has an origin. Without those there is the
    hub's name alone, and sessions are not told apart by theirs.
    """
    hub = JupyterHub.instance()
    return spawner.user.domain if hub.subdomain_host else urlsplit(hub.bind_url).hostname or "localhost"


def address(spawner, found: str) -> str:
    """`https://HOST:PORT` of a session that serves TLS, where its backend says `http://HOST:PORT`."""
    return found.replace("http://", "https://", 1) if spawner.kept.encrypted else found


def trusting(spawner) -> ssl.SSLContext | None:
    """How to ask whether it answers."""
    authority = spawner.site.authority
    return authority.trusting() if authority and spawner.kept.encrypted else None
