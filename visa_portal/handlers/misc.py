"""The small addresses: log in, log out, health, and the pages the proxy shows when nothing answers."""

from __future__ import annotations

import json
import time

from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError

from .. import security
from ..auth import PortalAuth
from .base import BaseHandler, hub_may_be_down

#: What the proxy's own errors mean to a person: words, next step, and whether the page tries again.
PROXY_ERRORS = {
    404: ("There is nothing at this address.", "Go back to My sessions.", False),
    503: (
        "This page does not answer at the moment.",
        "A session that has just started or stopped, or a restart of the service, takes a few seconds; one "
        "that is suspended answers when it has been resumed. This page tries again by itself.",
        True,
    ),
}


class CallbackHandler(HubOAuthCallbackHandler, BaseHandler):
    """Where the hub sends a browser back to after its login."""

    hub_auth_class = PortalAuth

    async def get(self) -> None:
        # What the hub sent is good once and is used up by now: a login that broke off begins anew.
        self.leads_to = self.site.prefix
        with hub_may_be_down():
            await super().get()


class LogoutHandler(BaseHandler):
    """Forget the login here, then at the hub."""

    def get(self) -> None:
        PortalAuth.instance().clear_cookie(self)
        self.redirect(f"{self.site.hub_url}logout")


class HealthHandler(BaseHandler):
    """Whether the portal works, and whether it reaches the hub; for monitoring, open to anybody."""

    async def get(self) -> None:
        hub = await self.site.hub.alive()
        catalogue = self.site.catalogue.last_error is None
        self.set_status(200 if hub and catalogue else 503)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"portal": True, "hub": hub, "catalogue": catalogue, "time": time.time()}))


class ProxyErrorHandler(BaseHandler):
    """What the proxy shows of its own errors; it passes on the body alone, so all is inside it."""

    def get(self, status: str) -> None:
        code = int(status)
        words, next_step, retry = PROXY_ERRORS.get(
            code, ("This did not work.", "Go back to My sessions.", False)
        )
        style = self.site.assets.files["visa.css"].body.decode()
        home = self.site.public_url or self.site.prefix
        html = self.page(
            "proxy_error.html", words=words, next_step=next_step, retry=retry, style=style, home=home
        )
        # For whoever asks directly; the proxy drops it and the page carries its own.
        policy = security.CONTENT_SECURITY_POLICY.replace("style-src 'self'", "style-src 'unsafe-inline'")
        self.set_header("Content-Security-Policy", policy)
        self.finish(html)


class NothingHandler(BaseHandler):
    """Any other address."""

    def prepare(self) -> None:
        raise HTTPError(404, "There is no such page.")


ROUTES = [
    ("oauth_callback", CallbackHandler),
    ("logout", LogoutHandler),
    ("health", HealthHandler),
    ("proxy-error/([0-9]{3})", ProxyErrorHandler),
]
