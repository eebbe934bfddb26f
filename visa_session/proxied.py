"""What a program behind `proxy/PORT` is not told: what proves to the hub and to its sessions who asks.

Whoever works in a session may start a program that listens on a port. A browser that looks at its pages sends
the cookies of all of the owner's sessions, and a request may carry a token. Passed on, they would make the
program's author the visitor: in this session after having been put out, and in others.
"""

from __future__ import annotations

import re

from jupyter_server_proxy.handlers import ProxyHandler
from tornado.httputil import HTTPHeaders

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


def keep_logins_back() -> None:
    """Have every handler of jupyter-server-proxy pass on no login, by HTTP and by websocket."""
    passed_on = ProxyHandler.proxy_request_headers
    if getattr(passed_on, "without_logins", False):
        return

    def proxy_request_headers(self):
        return without_logins(passed_on(self))

    proxy_request_headers.without_logins = True
    ProxyHandler.proxy_request_headers = proxy_request_headers
