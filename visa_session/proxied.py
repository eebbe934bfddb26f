"""Programs behind `proxy/PORT`: they are told no login, and pages of elsewhere reach none of them.

Whoever works in a session may start a program that listens on a port. A browser that looks at its pages sends
the cookies of all of the owner's sessions, and a request may carry a token. Passed on, they would make the
program's author the visitor: in this session after having been put out, and in others. And most such programs
ask nobody for anything, so that the page of another session could have a browser act on them. Nor may a
program leave behind in a browser what reaches further than its own pages: a service worker for all of the
owner's sessions, or another person's login.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from jupyter_server_proxy.handlers import ProxyHandler
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import HTTPError, RequestHandler

#: Cookies of JupyterHub's and Jupyter's own, whatever prefix the browser holds them to.
OWN_COOKIE = re.compile(r"(__Host-|__Secure-)?(jupyterhub-|_xsrf|username-)", re.IGNORECASE)
#: Ways of saying a token; a password for the program itself (`Basic`) goes through.
OWN_LOGIN = re.compile(r"\s*(token|bearer)\b", re.IGNORECASE)


def without_logins(headers: HTTPHeaders) -> HTTPHeaders:
    """The same headers without our own cookies, tokens and the secret of forms."""
    kept = headers.copy()
    # Several headers of one name are one here, with commas between: a comma ends a cookie as well.
    cookies = [cookie.strip() for cookie in re.split("[;,]", kept.pop("Cookie", ""))]
    if others := [cookie for cookie in cookies if cookie and not OWN_COOKIE.match(cookie)]:
        kept["Cookie"] = "; ".join(others)
    if any(OWN_LOGIN.match(value) for value in kept.get_list("Authorization")):
        del kept["Authorization"]
    kept.pop("X-XSRFToken", None)
    return kept


def is_of_elsewhere(request: HTTPServerRequest) -> bool:
    """Whether a page of another origin has the browser send this, which is more than following a link."""
    headers = request.headers
    origin = headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc.lower() != request.host.lower():
        return True
    if headers.get("Sec-Fetch-Site", "same-origin") in ("same-origin", "none"):
        return False
    followed = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return not (followed and request.method in ("GET", "HEAD"))


def may_be_set(name: str, value: str) -> bool:
    """Whether a program's answer may have this header."""
    if name.lower() == "set-cookie":
        return not OWN_COOKIE.match(value.strip())
    return name.lower() != "service-worker-allowed"


def guard_programs() -> None:
    """Have every handler of jupyter-server-proxy hold to this, by HTTP and by websocket; once is enough."""
    passed_on, prepared = ProxyHandler.proxy_request_headers, ProxyHandler.prepare
    if getattr(passed_on, "guarded", False):
        return

    def proxy_request_headers(self):
        return without_logins(passed_on(self))

    async def prepare(self, *args, **kwargs):
        await prepared(self, *args, **kwargs)
        # No page can have a browser send a token in a header.
        by_token = getattr(self, "_token_authenticated", False)
        if not self._finished and not by_token and is_of_elsewhere(self.request):
            raise HTTPError(403, "Another page asked for this. Open it by its own address.")

    def set_header(self, name, value):
        if may_be_set(name, str(value)):
            RequestHandler.set_header(self, name, value)

    def add_header(self, name, value):
        if may_be_set(name, str(value)):
            RequestHandler.add_header(self, name, value)

    proxy_request_headers.guarded = True
    ProxyHandler.proxy_request_headers, ProxyHandler.prepare = proxy_request_headers, prepare
    ProxyHandler.set_header, ProxyHandler.add_header = set_header, add_header
