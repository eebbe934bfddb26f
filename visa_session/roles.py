"""Who may do what inside a session: the whole table, in one place.

Everything that is not named here is refused. `gate.py` asks for every request to every handler of the
server, whatever package it comes from.

    owner          the account whose session it is: everything
    collaborator   holds CONTROL_SCOPE for exactly this server: the desktop, with mouse and keyboard
    viewer         holds VIEW_SCOPE for exactly this server: the desktop, to watch
    anyone         not logged in: software that is public anyway, and the steps of logging in

Nobody else gets anything: not an administrator, not a service, not an account that the hub lets in for
another reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .contract import CONTROL_SCOPE, VIEW_SCOPE


class Role(StrEnum):
    """What somebody is in this session."""

    OWNER = "owner"
    COLLABORATOR = "collaborator"
    VIEWER = "viewer"


@dataclass(frozen=True)
class Allowed:
    """Roles that may send these methods to these paths (below the session's own prefix), and why.

    `anyone` needs no role and no login.
    """

    paths: str
    methods: frozenset[str]
    roles: frozenset[Role]
    why: str
    anyone: bool = False


READ = frozenset({"GET", "HEAD"})
MEMBERS = frozenset({Role.COLLABORATOR, Role.VIEWER})
NOBODY: frozenset[Role] = frozenset()

TABLE: tuple[Allowed, ...] = (
    Allowed(r"/desktop/?", READ, MEMBERS, "the desktop's page"),
    Allowed(r"/desktop/socket", READ, MEMBERS, "its stream; the VNC server itself holds viewers to watching"),
    Allowed(r"/visa/session", READ, MEMBERS, "the session's title, experiments and time left"),
    Allowed(r"/desktop/static/[^/]+", READ, NOBODY, "the desktop page's script and style", anyone=True),
    Allowed(r"/static/.+", READ, NOBODY, "JupyterLab's own scripts, styles and fonts", anyone=True),
    Allowed(r"/lab/extensions/.+", READ, NOBODY, "scripts of JupyterLab's extensions", anyone=True),
    Allowed(r"/lab/api/themes/.+", READ, NOBODY, "styles of JupyterLab's themes", anyone=True),
    Allowed(r"/favicon\.ico", READ, NOBODY, "the icon in the browser's tab", anyone=True),
    Allowed(r"/api/?", READ, NOBODY, "the server's version: how the hub sees that it is up", anyone=True),
    Allowed(r"/oauth_callback", READ, NOBODY, "coming back from the hub's login", anyone=True),
    Allowed(r"/logout", READ, NOBODY, "logging out", anyone=True),
)

#: Whose mouse and keyboard the VNC server listens to.
CONTROLS_DESKTOP = frozenset({Role.OWNER, Role.COLLABORATOR})

_COMPILED = tuple((re.compile(allowed.paths), allowed) for allowed in TABLE)


def role_of(user: Mapping | None, owner: str, server: str) -> Role | None:
    """The role of a hub user model (`GET /hub/api/user`) in the session `owner`/`server`; None for none.

    Scopes count only when written for exactly this server: everybody holds the forms that are about
    themselves (`!user=NAME`), and those say nothing about somebody else's session.
    """
    if user is None or user.get("kind") != "user":
        return None
    if owner and user.get("name") == owner:
        return Role.OWNER
    scopes = set(user.get("scopes") or ())
    exactly = f"!server={owner}/{server}"
    if CONTROL_SCOPE + exactly in scopes:
        return Role.COLLABORATOR
    if VIEW_SCOPE + exactly in scopes:
        return Role.VIEWER
    return None


def may(role: Role | None, method: str, path: str) -> bool:
    """Whether `role` may send `method` to `path`, the part of the address below the session's prefix."""
    if role is Role.OWNER:
        return True
    for pattern, allowed in _COMPILED:
        if (
            method in allowed.methods
            and pattern.fullmatch(path)
            and (allowed.anyone or role in allowed.roles)
        ):
            return True
    return False
