"""What every page shares: who asks, headers, rendering, errors in words, how long each part took."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import responses

from aiohttp import ClientError
from jupyterhub.services.auth import HubOAuthenticated, UserNotAllowed
from tornado.web import Finish, HTTPError, RequestHandler

from visa_catalogue import CatalogueError
from visa_catalogue.account import Account
from visa_session.address import address_of

from .. import security
from ..auth import PortalAuth
from ..hub import HubDown, HubError, LoginNeeded, browser
from ..models_sharing import Notices
from ..site import Site

log = logging.getLogger(__name__)

#: What HubOAuth lets through when the hub ends in the middle of an answer, or gives an empty one.
BROKEN_OFF = (ClientError, TimeoutError, OSError, ValueError)


@contextmanager
def hub_may_be_down() -> Iterator[None]:
    """Around what asks who somebody is: HubDown where the hub cannot be asked, or breaks off."""
    try:
        yield
    except HTTPError as error:
        if error.status_code >= 500:
            raise HubDown from error
        raise
    except BROKEN_OFF as error:
        raise HubDown from error


#: What to do next, by status, where an error has nothing better to say.
NEXT_STEPS = {
    400: "Go back, correct it, and send it again.",
    403: "Go back to My sessions and try again from there.",
    404: "It may have been deleted. Go back to My sessions.",
}


class BaseHandler(RequestHandler):
    """A page that anybody may see."""

    #: A part of a page, asked for by a script: errors are short, and a login is never redirected to.
    is_fragment = False
    #: What an error page that goes away by itself leads to; empty for what was asked for.
    leads_to = ""

    def initialize(self, site: Site) -> None:
        self.site = site
        self.timings: dict[str, float] = {}

    def set_default_headers(self) -> None:
        for name, value in security.HEADERS.items():
            self.set_header(name, value)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Note how long a part took, for the Server-Timing header."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.timings[part] = self.timings.get(part, 0) + (time.perf_counter() - began) * 1000

    def flush(self, include_footers: bool = False):
        if not self._headers_written and self.timings:
            parts = self.timings | {"total": self.request.request_time() * 1000}
            self.set_header("Server-Timing", ", ".join(f"{p};dur={ms:.1f}" for p, ms in parts.items()))
        return super().flush(include_footers)

    def page(self, template: str, **values) -> str:
        """A template as text, with what every page needs."""
        with self.timed("render"):
            return self.site.templates.get_template(template).render(
                site=self.site,
                account=None,
                xsrf="",
                **values,
            )

    def write_error(self, status_code: int, **kwargs) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        words, next_step = self._words(status_code, error)
        retry = status_code == 503
        if retry:
            self.set_header("Retry-After", "5")
        if self.is_fragment:
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(words)
            return
        try:
            values = {"status": status_code, "words": words, "next_step": next_step, "retry": retry}
            html = self.page("error.html", leads_to=self.leads_to, **values)
        except Exception:
            log.exception("the error page cannot be shown")
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            html = words
        self.finish(html)

    def send_error(self, status_code: int = 500, **kwargs) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        return super().send_error(error.status if isinstance(error, HubError) else status_code, **kwargs)

    def log_exception(self, typ, value, tb) -> None:
        if isinstance(value, HubError):
            log.info("%s %s: %s", self.request.method, self.request.path, value.words)
        else:
            super().log_exception(typ, value, tb)

    def _words(self, status: int, error: BaseException | None) -> tuple[str, str]:
        if isinstance(error, HubError):
            return error.words, "" if error.status == 503 else NEXT_STEPS.get(status, "")
        if isinstance(error, HTTPError) and status < 500:
            said = error.get_message() or f"{responses.get(status, 'This went wrong')}."
            return said, NEXT_STEPS.get(status, "")
        return (
            "Something went wrong on our side. It has been logged.",
            "Try again in a minute. If it happens again, tell the facility's support the time it happened.",
        )


class PersonHandler(HubOAuthenticated, BaseHandler):
    """A page for somebody who is logged in at the hub; acts at the hub as that person."""

    hub_auth_class = PortalAuth

    async def prepare(self) -> None:
        # The proxy in front says it; the hub writes it into the audit log.
        browser.set(address_of(self.request, near=True))
        with self.timed("auth"):
            model = await self._identify()
        self.current_user = model
        if model is None:
            self._log_in()
        if self.request.method in security.SAFE_METHODS:
            if not self.is_fragment and self.current_user:
                self._notices = asyncio.create_task(self._ask_notices())
        elif not self._trusted():
            log.warning("POST %s from origin %r", self.request.path, self.request.headers.get("Origin"))
            raise HTTPError(403, "This form was not sent from our own page.")

    #: The notices for this person, being asked for while the page is made.
    _notices: asyncio.Task | None = None

    async def _ask_notices(self) -> Notices:
        try:
            return await self.site.sharing.notices(self.token)
        except HubError as error:
            # A page without its notices is still a page.
            log.info("no notices: %s", error.words)
            return Notices()

    async def show(self, template: str, **values) -> None:
        """Finish with a whole page, the notices for this person on top."""
        with self.timed("notices"):
            notices = await (self._notices or self._ask_notices())
            values["contact"] = await self.site.contacts.has(self.account)
        self.finish(self.page(template, notices=notices, **values))

    def sent(self) -> dict[str, list[str]]:
        """The form that was sent, as text; raises a 400 for what is not UTF-8."""
        found = self.request.body_arguments.items()
        return {
            self.decode_argument(name.encode()): [self.decode_argument(value, name) for value in values]
            for name, values in found
        }

    def on_finish(self) -> None:
        if self._notices is not None:
            self._notices.cancel()

    async def _identify(self) -> dict | None:
        with hub_may_be_down():
            model = await self.hub_auth.get_user(self, sync=False)
        if model is None:
            return None
        try:
            return self.check_hub_user(model)
        except UserNotAllowed:
            raise HTTPError(403, "This account may not use these pages.") from None

    def _trusted(self) -> bool:
        # A token in a header is nobody's cookie: no foreign page can send it.
        by_token = getattr(self, "_token_authenticated", False)
        own = self.site.public_url or f"{self.request.protocol}://{self.request.host}"
        return by_token or security.check_origin(self.request.headers, own)

    def _log_in(self) -> None:
        if self.is_fragment or self.request.method not in ("GET", "HEAD"):
            raise LoginNeeded
        self.redirect(self.get_login_url())
        raise Finish

    def check_xsrf_cookie(self) -> None:
        try:
            super().check_xsrf_cookie()
        except HTTPError as error:
            log.warning("%s %s: %s", self.request.method, self.request.path, error.log_message)
            raise HTTPError(
                403, "This page was too old, or you have logged in again since it was opened."
            ) from None

    def send_error(self, status_code: int = 500, **kwargs) -> None:
        error = (kwargs.get("exc_info") or (None, None, None))[1]
        if isinstance(error, CatalogueError):
            unread = HubError("The list of experiments cannot be read now.")
            unread.status = status_code = 503
            kwargs["exc_info"] = (HubError, unread, None)
        if isinstance(error, LoginNeeded) and not self._headers_written:
            self.hub_auth.clear_cookie(self)
            if not self.is_fragment and self.request.method == "GET":
                self.clear_header("Content-Type")
                return self.redirect(self.get_login_url())
        return super().send_error(status_code, **kwargs)

    @property
    def token(self) -> str:
        """The person's own token: the hub decides what it may do."""
        return self.hub_auth.get_token(self)

    @property
    def owner(self) -> str:
        return self.current_user["name"]

    @property
    def account(self) -> Account:
        """The account, as far as the hub's groups tell it."""
        return Account.from_groups(self.owner, self.current_user.get("groups") or ())

    def page(self, template: str, **values) -> str:
        if not self.current_user:
            return super().page(template, **values)
        xsrf = self.xsrf_token.decode("ascii")
        with self.timed("render"):
            return self.site.templates.get_template(template).render(
                site=self.site, account=self.account, xsrf=xsrf, **values
            )


class LiveHandler(PersonHandler):
    """A part of a page that its script looks at again and again: 304 while nothing has changed."""

    is_fragment = True

    def compute_etag(self) -> str:
        digest = hashlib.sha256(b"".join(self._write_buffer))
        return f'"{digest.hexdigest()[:32]}"'
