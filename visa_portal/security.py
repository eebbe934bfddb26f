"""What a browser may do with our pages, and from where a form may come.

How a POST is protected. JupyterHub's HubOAuth signs an `_xsrf` cookie over the browser's login (its hub
session and a hash of its OAuth token), on the portal's own path. Every form carries the same value in a
hidden field and every script request in a header, and HubOAuth takes no cookie for a login unless the two
agree. A page elsewhere can neither read nor guess that value. On top, `check_origin` refuses a POST that
does not say that it comes from the portal's own origin, so that a session's page on a sibling domain
gains nothing by planting cookies.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

#: No inline script or style, nothing from elsewhere, no frame around us.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # Not `no-referrer`: with it a browser sends `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

#: Requests that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, without the port where it is the usual one.

    Raises ValueError for what is none.
    """
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != usual else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}".lower()


def check_origin(headers: Mapping[str, str], own: str) -> bool:
    """Whether a request that changes something comes from our own pages; `own` is our address.

    Browsers send `Origin` with every POST; one that does not must say `same-origin` otherwise.
    """
    origin = headers.get("Origin")
    if origin is None:
        return headers.get("Sec-Fetch-Site") == "same-origin"
    try:
        return "://" in origin and origin_of(origin) == origin_of(own)
    except ValueError:
        return False


def cookie_secret(api_token: str) -> bytes:
    """The key that signs the portal's cookies: from its API token, so that a restart logs nobody out."""
    return hmac.digest(api_token.encode(), b"visa-portal cookies", hashlib.sha256)
