"""A browser that reaches a site by its names, and somebody who logs in with it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Error, Page, Playwright, TimeoutError

from tests.chromium import CHROMIUM, FLAGS, NOT_THE_PAGES
from visa_authenticator.authenticator import DOWN

from . import facility
from .machines import Machine


@contextmanager
def browser(playwright: Playwright, machine: Machine, url: str = facility.URL) -> Iterator[Page]:
    """It finds a machine by the site's names, and believes the certificate there alone."""
    key = "openssl x509 -in /etc/visa/tls/site.pem -noout -pubkey"
    key += " | openssl pkey -pubin -outform der | base64 -w0"
    digest = hashlib.sha256(base64.b64decode(machine.said(key))).digest()
    host = urlsplit(url).hostname
    flags = [
        "--host-resolver-rules=" + ",".join(f"MAP {name} {machine.address}" for name in (host, f"*.{host}")),
        f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}",
    ]
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    yield context.new_page()
    chromium.close()


def visit(page: Page, url: str) -> None:
    """Open an address; once more where a container of other tests came or went at that moment."""
    try:
        page.goto(url)
    except Error as error:
        if NOT_THE_PAGES not in str(error):
            raise
        page.goto(url)


def log_in(page: Page, name: str, url: str = facility.URL) -> None:
    """From the site's address to the portal, by the facility's provider.

    Once more where that did not answer in time, as its page asks of people: this machine may be busy.
    """
    portal = f"https://visa--service.{urlsplit(url).hostname}/services/visa/**"
    for may_try_again in (True, True, False):
        visit(page, url)
        page.get_by_role("link", name="Log in").or_(page.get_by_role("button", name="Log in")).click()
        page.locator("input[type=password]").wait_for()
        page.locator("form input:not([type=password]):not([type=hidden])").first.fill(name)
        page.locator("input[type=password]").fill(facility.PASSWORD)
        page.locator("form [type=submit]").click()
        try:
            return page.wait_for_url(portal)
        except TimeoutError:
            said = page.inner_text("body")
            assert may_try_again and DOWN in said, f"{page.url}: {said}"
            page.context.clear_cookies()  # or the provider knows who it is, and asks for no password
