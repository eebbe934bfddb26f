"""What a member may be, and the hub's scopes that say so."""

from __future__ import annotations

from jupyterhub import orm

from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE

VIEWER, COLLABORATOR = "viewer", "collaborator"
ROLES = (VIEWER, COLLABORATOR)

_SCOPES = {VIEWER: VIEW_SCOPE, COLLABORATOR: CONTROL_SCOPE}


def scopes_for(role: str, spawner: orm.Spawner) -> list[str]:
    """What a share for this role holds: the way to the server's login, and exactly one role."""
    here = f"!server={spawner.user.name}/{spawner.name}"
    return sorted([f"access:servers{here}", _SCOPES[role] + here])


def role_of(share: orm.Share) -> str:
    """The role that a share's scopes give, "" where they give none: matched exactly, on this server alone."""
    here = f"!server={share.owner.name}/{share.spawner.name}"
    if CONTROL_SCOPE + here in share.scopes:
        return COLLABORATOR
    return VIEWER if VIEW_SCOPE + here in share.scopes else ""
