"""Log in to the demo as a person does, over HTTP: through the hub, the provider's form, and back."""

from __future__ import annotations

from html.parser import HTMLParser
from http.cookiejar import CookieJar, DefaultCookiePolicy, request_host
from urllib.parse import urljoin, urlsplit

import httpx


class LoginFailed(Exception):
    """The login did not end at the hub; the text is what the page said."""


class Page(HTMLParser):
    """The text, and the first form, of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self._words: list[str] = []
        self._silent = 0
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form" and self.action is None:
            self.action = given.get("action") or ""
        if tag == "input" and given.get("name"):
            self.fields[given["name"]] = given.get("value") or ""
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        self._silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self._silent:
            self._words.append(data)


class _AsBrowsers(DefaultCookiePolicy):
    """Cookies as browsers treat them on this machine, where the library would not.

    They trust localhost as if it spoke TLS, and send it cookies that are marked for TLS alone. A cookie of
    the domain localhost goes to it and to all names below.
    """

    def __init__(self):
        super().__init__(secure_protocols=("http", "https"))

    def domain_return_ok(self, domain, request):
        return domain.lstrip(".") == "localhost" or super().domain_return_ok(domain, request)

    def return_ok_domain(self, cookie, request):
        if cookie.domain.lstrip(".") == "localhost" and cookie.domain_specified:
            host = request_host(request)
            return host == "localhost" or host.endswith(".localhost")
        return super().return_ok_domain(cookie, request)

    def set_ok_domain(self, cookie, request):
        return cookie.domain.lstrip(".") == "localhost" or super().set_ok_domain(cookie, request)


def browser(**options) -> httpx.Client:
    """A client that keeps cookies and follows redirects, as a browser does."""
    client = httpx.Client(
        **{"follow_redirects": True, "timeout": 60, "cookies": CookieJar(_AsBrowsers()), **options}
    )

    def cookies_of(request: httpx.Request) -> None:
        # The client would send what a jar with the usual policy gives.
        request.headers.pop("Cookie", None)
        client.cookies.set_cookie_header(request)

    client.event_hooks["request"].append(cookies_of)
    return client


def log_in(client: httpx.Client, site: str, account: str, password: str) -> httpx.Response:
    """Log in at the hub of `site`, such as http://localhost:8000; the answer is the page it ends on.

    Raises LoginFailed, with the words of the page, when that is not a page of the hub's.
    """
    page = client.get(urljoin(site, "/hub/oauth_login"), params={"next": "/hub/token"})
    asked = False
    while page.is_success and urlsplit(str(page.url)).netloc != urlsplit(site).netloc:
        form = Page(page.text)
        answers = dict(form.fields)
        if "password" in answers:
            answers.update(account=account, password=password)
            asked, again = True, asked
        else:
            again = not answers  # a form that only hands something on is submitted as it is
        if again or form.action is None:
            break
        page = client.post(urljoin(str(page.url), form.action), data=answers)
    else:
        if page.is_success:
            return page
    raise LoginFailed(Page(page.text).text)


def token_for(client: httpx.Client, site: str, account: str, note: str) -> str:
    """A token that acts as the account, for a client that is logged in as it."""
    host = urlsplit(site).hostname or ""
    own = {host, f"{host}.local", f".{host}"}
    cookies = {cookie.name: cookie.value for cookie in client.cookies.jar if cookie.domain in own}
    answer = client.post(
        urljoin(site, f"/hub/api/users/{account}/tokens"),
        json={"note": note},
        headers={
            "X-XSRFToken": cookies["_xsrf"],
            "Referer": urljoin(site, "/hub/token"),
        },
    )
    answer.raise_for_status()
    return answer.json()["token"]
