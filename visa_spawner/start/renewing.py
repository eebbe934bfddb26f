"""A new token for a session that its backend starts anew; the last one is good for nothing from then on."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.roles import get_roles_for, roles_to_scopes
from jupyterhub.scopes import _resolve_requested_scopes
from jupyterhub.utils import new_token

from .client_secret import hashed


def replace_token(spawner) -> tuple[orm.APIToken, str]:
    """Exchange the session's token for a new one, also at the hub's OAuth provider.

    Nothing is committed. People stay logged in: the session is the same OAuth client as before.
    """
    db, user = spawner.user.db, spawner.user.orm_user
    last = spawner.kept.token and db.get(orm.APIToken, spawner.kept.token)
    row = orm.APIToken(
        generated=True,
        note=f"Server at {spawner.server.base_url}",
        client_id="jupyterhub",
        scopes=last.scopes if last else _scopes_of_a_server(spawner),
    )
    token = new_token()
    row.token, row.user = token, user
    db.add(row)
    if last:
        db.delete(last)
    client = db.query(orm.OAuthClient).filter_by(identifier=spawner.oauth_client_id).one()
    client.secret = hashed(token)
    db.flush()
    return row, token


def _scopes_of_a_server(spawner) -> list[str]:
    """As the hub gives a server, where the last token is not there to tell: somebody has revoked it."""
    db, user = spawner.user.db, spawner.user.orm_user
    client = db.query(orm.OAuthClient).filter_by(identifier="jupyterhub").one()
    wanted = {
        f"{scope}={user.name}/{spawner.name}" if scope.endswith("!server") else scope
        for scope in orm.Role.find(db, "server").scopes
    }
    have = roles_to_scopes(get_roles_for(user)) | {"inherit"}
    resolved, _ = _resolve_requested_scopes(wanted, have, user, client, db)
    return list(resolved)
