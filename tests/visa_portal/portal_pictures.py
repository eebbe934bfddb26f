"""Pictures of every page for people to look at: wide in light, on a phone in dark colours.

With VISA_PICTURES=all in the environment, both sizes in both colours.

Also collects what a browser complains of: breaches of the content-security policy, script errors.
"""

from __future__ import annotations

import os
from contextlib import contextmanager

from portal_support import RESULTS

from tests.chromium import is_complaint

COLOURS = {"wide": ("light",), "phone": ("dark",)}
SIZES = {"wide": {"width": 1280, "height": 860}, "phone": {"width": 390, "height": 844}}


class Visitor:
    """Somebody in front of a browser of their own."""

    def __init__(self, site, browser, user: str, **context):
        self.site, self.user = site, user
        context = {"viewport": SIZES["wide"], "locale": "fr-FR", "timezone_id": "Asia/Tokyo"} | context
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, message) -> None:
        if is_complaint(message) and "favicon" not in message.text:
            self.complaints.append(message.text)

    def log_in(self) -> None:
        self.page.goto(self.site.url)
        self.page.get_by_label("Account").fill(self.user)
        self.page.get_by_label("Password").fill("secret")
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(self.site.url)

    def go(self, path: str = ""):
        self.page.goto(self.site.url + path)
        return self.page

    def picture(self, name: str, full: bool = True) -> None:
        """The page as it stands."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        every = os.environ.get("VISA_PICTURES") == "all"
        for size, viewport in SIZES.items():
            self.page.set_viewport_size(viewport)
            for scheme in ("light", "dark") if every else COLOURS[size]:
                self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                path = RESULTS / f"portal-{name}-{size}-{scheme}.png"
                self.page.screenshot(path=path, full_page=full, animations="disabled")
        self.page.set_viewport_size(SIZES["wide"])
        self.page.emulate_media(color_scheme="light")

    def close(self) -> None:
        self.context.close()


@contextmanager
def visiting(site, browser, user: str = "alice", log_in: bool = True, **context):
    """A visitor, logged in; leaving fails the test where the browser complained."""
    visitor = Visitor(site, browser, user, **context)
    try:
        if log_in:
            visitor.log_in()
        yield visitor
        assert not visitor.complaints, visitor.complaints
    except Exception:
        RESULTS.mkdir(parents=True, exist_ok=True)
        visitor.page.screenshot(path=RESULTS / "portal-failed-test.png")
        print(visitor.page.url, visitor.complaints)
        raise
    finally:
        visitor.close()
