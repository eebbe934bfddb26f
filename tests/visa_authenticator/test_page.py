"""The demo's login page as a person meets it, in a real browser."""

from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.chromium import CHROMIUM, FLAGS
from tests.chromium import RESULTS as PICTURES


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def look(chromium, facility):
    """Open the login page in a fresh browser; every complaint of the browser's console is a failure."""

    @contextmanager
    def open_page(**options):
        complaints = []
        page = chromium.new_context(**options).new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{facility.site}/hub/oauth_login?next=/hub/token")
        yield page
        page.context.close()
        # The browser reports the status of a page that says what went wrong; that is no complaint.
        statuses = ("400 (Bad Request)", "401 (Unauthorized)")
        assert [one for one in complaints if not any(status in one for status in statuses)] == []

    return open_page


def test_log_in_by_keyboard_and_mistake_is_explained(facility, look):
    facility.provider.add("keys", 22001)
    with look() as page:
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        expect(page.get_by_label("Account")).to_be_focused()
        page.keyboard.type("keys")
        page.keyboard.press("Tab")
        page.keyboard.type("not this one")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("do not belong together")
        expect(page.get_by_label("Account")).to_have_value("keys")
        expect(page.get_by_label("Password")).to_be_focused()
        expect(page.get_by_label("Password")).to_have_value("")
        page.keyboard.type(facility.provider.accounts["keys"]["password"])
        page.keyboard.press("Enter")
        page.wait_for_url(f"{facility.site}/hub/token", wait_until="commit")
    facility.remember("keys")


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("light", {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}}),
        ("dark", {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}}),
        ("phone", {"color_scheme": "dark", "viewport": {"width": 360, "height": 640}, "has_touch": True}),
    ],
)
def test_the_page_fits_and_is_pictured(look, name, options):
    with look(**options) as page:
        page.get_by_label("Account").fill("nobody")
        page.get_by_label("Password").fill("wrong")
        if name == "phone":
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("alert")).to_be_visible()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= options["viewport"]["width"]
        assert page.locator("script").count() == 0
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dark = sum(int(part) for part in ground.strip("rgb()").split(",")) < 3 * 128
        assert dark == (options["color_scheme"] == "dark")
        PICTURES.mkdir(exist_ok=True)
        page.screenshot(path=PICTURES / f"provider-login-{name}.png")


def test_the_page_runs_no_script_and_lets_nobody_frame_it(facility):
    begun = httpx.get(f"{facility.site}/hub/oauth_login")
    page = httpx.get(begun.headers["location"], follow_redirects=True)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src;" in policy
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"


def test_the_other_pages_are_pictured(facility, look):
    facility.provider.add("seen", 22002)
    with look(viewport={"width": 800, "height": 600}) as page:
        fill_in(facility, page, "seen")
        page.goto(f"{facility.site}/hub/logout")
        page.screenshot(path=PICTURES / "provider-logout.png")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{facility.site}/hub/login**", wait_until="commit")
    with look(viewport={"width": 800, "height": 600}) as page:
        page.goto(f"{facility.provider.issuer}/auth?client_id=stranger")
        expect(page.get_by_role("heading", name="This login cannot go on")).to_be_visible()
        page.screenshot(path=PICTURES / "provider-error.png")


def fill_in(facility, page, name):
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(facility.provider.accounts[name]["password"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{facility.site}/hub/token", wait_until="commit")


def test_another_account_may_follow_one_that_is_gone(facility, look):
    facility.provider.add("went", 22003)
    facility.provider.add("came", 22004)
    with look() as page:
        fill_in(facility, page, "went")
        facility.provider.remove("went")
        page.goto(f"{facility.site}/hub/oauth_login?next=/hub/token")
        fill_in(facility, page, "came")


def test_log_out_when_the_provider_has_forgotten_already(facility, look):
    facility.provider.add("late", 22005)
    with look() as page:
        fill_in(facility, page, "late")
        page.context.clear_cookies(domain="login.localhost")
        page.goto(f"{facility.site}/hub/logout")
        page.wait_for_url(f"{facility.site}/hub/login**", wait_until="commit")


def test_text_typed_as_account_is_shown_as_text(look):
    with look() as page:
        page.get_by_label("Account").fill("\"><script>alert(1)</script>'&")
        page.get_by_label("Password").fill("x")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        expect(page.get_by_label("Account")).to_have_value("\"><script>alert(1)</script>'&")
        assert page.locator("script").count() == 0
