"""How a member's browser comes into a session: by the hub's login, without a page that asks them first."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.apihandlers import auth, default_handlers
from jupyterhub.user import User

from . import grants
from .database import Grant


class SessionAuthorizeHandler(auth.OAuthAuthorizeHandler):
    """The hub's own, but for its question "Server at ... would like permission to identify you".

    A session learns nobody's name but that of people its owner let in by name, team or link, all of which
    say so; the token that it gets opens nothing but this session. Whoever else the hub lets near is asked.
    """

    def needs_oauth_confirm(self, user: User, oauth_client: orm.OAuthClient, requested_scopes) -> bool:
        spawner = oauth_client.spawner
        share = grants.share_of(self.db, spawner, user.orm_user) if spawner is not None else None
        if share is not None and self.db.get(Grant, share.id) is not None:
            return False
        return super().needs_oauth_confirm(user, oauth_client, requested_scopes)


def join() -> None:
    """Put it in the place of the hub's own; harmless when done already."""
    default_handlers[:] = [
        (path, SessionAuthorizeHandler if handler is auth.OAuthAuthorizeHandler else handler)
        for path, handler in default_handlers
    ]
