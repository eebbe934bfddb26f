"""Ask `roles.py` before every handler of the server, whatever class it is and whoever registered it.

Jupyter's own authorisation is opt-in: about half of the handlers of a JupyterLab server never ask the
Authorizer. So each request is served by a subclass of its handler whose `prepare`, which Tornado runs before
anything else, asks first. That holds for handlers registered later too; a rule that leads past it is an
error that ends the server. What is let through is known to `connections.py` until it is over.
"""

from __future__ import annotations

import logging
from html import escape
from inspect import isawaitable, isclass

from jupyter_server.base.handlers import APIHandler
from jupyterhub.singleuser.extension import JupyterHubAuthorizer
from tornado.routing import RuleRouter
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from .connections import Connections
from .members import Members
from .roles import Role, may, workspace_of

log = logging.getLogger("visa")

#: On a refusal: the hub's own word is that this person is out. Pages ask no more then (news.js).
OUT_HEADER = "X-Visa-Out"
REFUSAL = "This session is {owner}'s, and what you asked for is not open to you."
REFUSAL_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Not open to you</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head>
<body style="max-width: 34rem; margin: 12vh auto; padding: 0 1.2rem; font: 1.05rem/1.5 system-ui, sans-serif">
<h1 style="font-size: 1.5rem">Not open to you</h1><p>{words}</p><p>{watch}<a href="{hub}">My sessions</a></p>
</body></html>
"""


class Gate:
    """Decides for one session; `prefix` is the path it is served under."""

    def __init__(self, identity_provider, prefix: str, members: Members, connections: Connections):
        self.identity_provider = identity_provider
        self.prefix, self.members, self.connections = prefix.rstrip("/"), members, connections
        self._enclosed: dict[type[RequestHandler], type[RequestHandler]] = {}

    def role(self, user) -> Role | None:
        """The role of a Jupyter user as JupyterHub's identity provider makes them; None for none.

        Accounts only: a service may have the name of one.
        """
        hub_user = getattr(user, "hub_user", None)
        if not hub_user or hub_user.get("kind") != "user" or not hub_user.get("name"):
            return None
        return self.members.role_of(hub_user["name"])

    def allows(self, role: Role | None, method: str, path: str, person: str = "") -> bool:
        """Whether `role`, held by `person`, may send `method` to the full path of a request."""
        if not path.startswith(self.prefix + "/") and path != self.prefix:
            return False
        return may(role, method, path.removeprefix(self.prefix), person)

    def way_for(self, role: Role | None, person: str, request) -> str | None:
        """Where else a member's page is, than at the address that is the owner's too; None for nowhere."""
        path = request.path.removeprefix(self.prefix)
        query = f"?{request.query}" if request.query else ""
        if request.method != "GET":
            return None
        if role is Role.VIEWER and path in ("", "/"):
            return f"{self.prefix}/desktop/"
        if role is Role.COLLABORATOR and (path == "/lab" or path.startswith("/lab/tree/")):
            # Two people who save one layout undo each other's.
            return f"{self.prefix}/lab/workspaces/{workspace_of(person)}{path.removeprefix('/lab')}{query}"
        return None

    async def check(self, handler: RequestHandler) -> None:
        """Let the request pass, or finish it: with the way to the login page, or with a refusal."""
        user = self.identity_provider.get_user(handler)
        user = await user if isawaitable(user) else user
        # As Jupyter's own `prepare` does it: pages that report an error ask who reads them.
        handler.current_user = handler._jupyter_current_user = user
        # From here to the end of this block nothing waits: who was let through is known as open at once.
        role = handler.visa_role = self.role(user)
        request = handler.request
        person = user.username if user else ""
        if way := self.way_for(role, person, request):
            RequestHandler.redirect(handler, way)
            return
        if self.allows(role, request.method, request.path, person):
            if role is not None:
                self.connections.add(handler, person, role)
            return
        if user is None and self._is_page(handler):
            handler.redirect(handler.get_login_url())
            return
        who = user.username if user else "somebody not logged in"
        log.warning("%s (%s) may not %s %s", who, role or "no role", request.method, request.path)
        # By Tornado's own methods: a handler's may count on what its `prepare` did not get to do.
        handler.clear()
        RequestHandler.set_status(handler, 403)
        if role is None and self._is_out(handler):
            RequestHandler.set_header(handler, OUT_HEADER, "1")
        words = REFUSAL.format(owner=escape(self.members.owner))
        if not self._is_page(handler):
            RequestHandler.set_header(handler, "Content-Type", "text/plain; charset=utf-8")
            RequestHandler.finish(handler, words + "\n")
            return
        hub = self.identity_provider.hub_auth
        home = escape(f"{hub.hub_host}{hub.hub_prefix}home", quote=True)
        RequestHandler.set_header(handler, "Content-Type", "text/html; charset=utf-8")
        watch = ""
        if role is Role.VIEWER:
            watch = f'<a href="{escape(self.prefix, quote=True)}/desktop/">Watch its desktop</a> · '
        RequestHandler.finish(handler, REFUSAL_PAGE.format(words=words, hub=home, watch=watch))

    def _is_out(self, handler: RequestHandler) -> bool:
        """Whether it is known who asks, and the hub's own word that they are not let in.

        Whoever has lost the hub's share too is nobody for Jupyter; HubAuth has noted who it is.
        """
        known = getattr(handler, "_cached_hub_user", None) or {}
        return known.get("kind") == "user" and self.members.is_out(known.get("name", ""))

    @staticmethod
    def _is_page(handler: RequestHandler) -> bool:
        """Whether a person's browser is about to show the answer, so that a login page makes sense."""
        headers = handler.request.headers
        if isinstance(handler, APIHandler) or handler.request.method not in ("GET", "HEAD"):
            return False
        # Browsers name the mode on secure addresses; scripts, pictures and sockets have others.
        return headers.get("Sec-Fetch-Mode", "navigate") == "navigate" and "Upgrade" not in headers

    def enclose(self, handler_class: type[RequestHandler]) -> type[RequestHandler]:
        """A subclass of `handler_class` that asks this gate before anything else; the same each time."""
        if handler_class not in self._enclosed:
            gate = self

            class Enclosed(handler_class):
                async def prepare(self, *args, **kwargs):
                    await gate.check(self)
                    if not self._finished:
                        prepared = super().prepare(*args, **kwargs)
                        if isawaitable(prepared):
                            await prepared

                async def _execute(self, *args, **kwargs):
                    # Tornado's whole life of a request, a websocket's too.
                    try:
                        await super()._execute(*args, **kwargs)
                    finally:
                        gate.connections.done(self)

                def on_connection_close(self):
                    gate.connections.remove(self)
                    super().on_connection_close()

            if issubclass(handler_class, WebSocketHandler):

                def opened(handler, *args, **kwargs):
                    gate.connections.lasts(handler)
                    return handler_class.open(handler, *args, **kwargs)

                Enclosed.open = opened
            Enclosed.__name__, Enclosed.__qualname__ = handler_class.__name__, handler_class.__qualname__
            Enclosed.__module__, Enclosed.__doc__ = handler_class.__module__, handler_class.__doc__
            self._enclosed[handler_class] = Enclosed
        return self._enclosed[handler_class]


class SessionAuthorizer(JupyterHubAuthorizer):
    """The same table once more, for the handlers that do ask Jupyter's Authorizer."""

    gate: Gate | None = None

    def is_authorized(self, handler, user, action, resource):
        """False unless the hub lets the person in and the table allows this request to their role."""
        if self.gate is None or not super().is_authorized(handler, user, action, resource):
            return False
        request = handler.request
        return self.gate.allows(self.gate.role(user), request.method, request.path, user.username)


def targets(router: RuleRouter):
    """What every rule of a router leads to, those of nested routers and applications too."""
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from targets(rule.target)
        elif isinstance(rule.target, Application):
            yield from targets(rule.target.default_router)
        else:
            yield rule.target


def check_targets(application: Application) -> None:
    """Raise TypeError when a rule leads to something else than a handler class: no gate stands there."""
    for target in targets(application.default_router):
        if not (isclass(target) and issubclass(target, RequestHandler)):
            raise TypeError(f"no gate can stand before {target!r}")


def guard(application: Application, gate: Gate, authorizer: SessionAuthorizer) -> None:
    """Put `gate` before every handler of `application`, those added later included.

    Tornado asks the application for each request's delegate, whether a rule matched or none did: that is
    the one place all of them pass. Raises TypeError where a rule goes round it, or the authoriser is not
    ours.
    """
    if not isinstance(authorizer, SessionAuthorizer):
        raise TypeError(f"the authoriser is {type(authorizer).__name__}")
    authorizer.gate = gate
    delegate_for = application.get_handler_delegate

    def guarded(request, target_class, *args, **kwargs):
        return delegate_for(request, gate.enclose(target_class), *args, **kwargs)

    application.get_handler_delegate = guarded
    check_targets(application)
