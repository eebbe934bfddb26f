"""Who sends a request: JupyterHub's way, with two things that a shared session needs.

The session's own token proves nothing here: it is the owner's by name, and whoever got hold of it in a
terminal would be the owner. And an answer of the hub's that lets somebody in is forgotten with each new
table; one that keeps somebody out is not kept at all for longer than a moment.
"""

from __future__ import annotations

import hmac
import logging
import time

from jupyterhub.services.auth import HubOAuth, _ExpiringDict
from traitlets import default

from .names import NamedIdentity

log = logging.getLogger("visa")

#: Seconds that "the hub does not know you" is kept: enough to spare it a page that asks over and over.
REFUSAL_AGE = 0.5


class Answers(_ExpiringDict):
    """The hub's answers about tokens; those that let nobody in age quickly. `lets_in` tells them apart."""

    def __init__(self, max_age: float, lets_in):
        super().__init__(max_age)
        self.lets_in = lets_in

    def _check_age(self, key):
        super()._check_age(key)
        if key in self.values and not self.lets_in(self.values[key]):
            if time.monotonic() > self.timestamps[key] + REFUSAL_AGE:
                del self[key]


class SessionAuth(HubOAuth):
    """Asks the hub whose token it is."""

    @default("cache")
    def _default_cache(self):
        return Answers(self.cache_max_age, self._lets_in)

    @default("cookie_options")
    def _default_cookie_options(self):
        # Not by the server's configuration: this one is made before it is complete. HubOAuth forgets that
        # such cookies have to be secure on that of a login under way where the site is plain HTTP, as on
        # localhost, and a browser then drops the cookie.
        return {"secure": True, "samesite": "Lax"} if self.cookie_host_prefix_enabled else {}

    def _lets_in(self, user: dict | None) -> bool:
        return bool(user and self.check_scopes(self.access_scopes, user))

    def forget(self) -> None:
        """Ask anew about everybody."""
        # A new one, not an emptied one: an answer still under way was asked for before.
        self.cache = self._default_cache()

    async def _check_hub_authorization(self, url, api_token, cache_key=None, use_cache=True):
        if hmac.compare_digest(api_token.encode(), self.api_token.encode()):
            log.warning("Somebody came with the session's own token; it opens nothing here")
            return None
        cache = self.cache
        user = await super()._check_hub_authorization(url, api_token, cache_key, use_cache)
        if self.cache is not cache and use_cache:
            # The table changed while the hub was asked: the answer may be older than the table.
            user = await super()._check_hub_authorization(url, api_token, cache_key, use_cache=False)
            self.cache.pop(cache_key, None)
        return user


class SessionIdentity(NamedIdentity):
    """JupyterHub's identity provider with full names, which never tells the session's own token.

    `auth` is set before the server is made.
    """

    auth: SessionAuth

    @property
    def token(self):
        """None that Jupyter could print, compare or put on a page."""
        return ""

    @default("hub_auth")
    def _default_hub_auth(self):
        return self.auth
