"""Logs an account in over HTTP as a browser would: redirects, cookies per host, the provider's form."""

from __future__ import annotations

from html.parser import HTMLParser
from http.cookies import SimpleCookie
from urllib.parse import urljoin, urlsplit

import httpx


class LoginFailed(Exception):
    """The provider or the hub refused; the message says which page said so."""


class _Form(HTMLParser):
    """The page's first form: where it goes and what it asks for."""

    def __init__(self, page: str):
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = values.get("action") or ""
        elif tag == "input" and values.get("name"):
            self.fields[values["name"]] = values.get("value") or ""
            self.kinds[values["name"]] = values.get("type") or "text"

    def asks(self, kind: str) -> str:
        return next(name for name, its in self.kinds.items() if its == kind)


class Visitor:
    """One person's browser, as far as a login needs one."""

    def __init__(self, client: httpx.AsyncClient):
        self._client = client
        # The standard cookie jar has no notion of "localhost" being a trustworthy origin.
        self._cookies: dict[str, dict[str, str]] = {}

    async def visit(self, method: str, url: str, form: dict[str, str] | None = None) -> httpx.Response:
        """Ask for a page and follow its redirects, at most 20 of them."""
        for _ in range(20):
            host = urlsplit(url).netloc
            known = self._cookies.setdefault(host, {})
            headers = (
                {"Cookie": "; ".join(f"{name}={value}" for name, value in known.items())} if known else {}
            )
            answer = await self._client.request(method, url, data=form, headers=headers)
            for line in answer.headers.get_list("set-cookie"):
                for name, morsel in SimpleCookie(line).items():
                    if morsel.value and morsel["max-age"] != "0":
                        known[name] = morsel.value
                    else:
                        known.pop(name, None)
            if not answer.has_redirect_location:
                return answer
            url, method, form = urljoin(url, answer.headers["location"]), "GET", None
        raise LoginFailed(f"too many redirects, the last to {urlsplit(url).path}")

    async def log_in(self, hub: str, account: str, password: str) -> None:
        """Log in at the hub through its provider.

        Raises LoginFailed when it ends anywhere but at the hub with a session.
        """
        page = await self.visit("GET", f"{hub}/hub/oauth_login")
        form = _Form(page.text)
        if form.action is None or "password" not in form.kinds.values():
            raise LoginFailed(f"{page.url.host} shows no login form (HTTP {page.status_code})")
        filled = {**form.fields, form.asks("text"): account, form.asks("password"): password}
        page = await self.visit("POST", urljoin(str(page.url), form.action), filled)
        if page.status_code >= 400:
            raise LoginFailed(f"{account} at {page.url.path}: HTTP {page.status_code}")
        if not any("jupyterhub-session-id" in name for name in self._cookies.get(urlsplit(hub).netloc, {})):
            raise LoginFailed(f"{account} was not let in; the last page was {page.url.path}")
