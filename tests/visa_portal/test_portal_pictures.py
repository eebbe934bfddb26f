"""Every page, drawn: wide and on a phone, light and dark, into tests/results."""

from portal_pictures import visiting


def choose(page, title: str) -> None:
    page.get_by_role("checkbox", name=title).check()
    page.get_by_role("button", name="Start", exact=True).wait_for()


def test_pages_drawn(fresh, chromium):
    with visiting(fresh, chromium, log_in=False) as visitor:
        page = visitor.page
        page.goto(fresh.url)
        visitor.picture("login")
        visitor.log_in()
        visitor.picture("empty")
        visitor.go("new")
        visitor.picture("new")
        choose(page, "titanium")
        visitor.picture("chosen", full=False)
        visitor.picture("chosen-whole")
        page.get_by_role("radio", name="All").check()
        page.get_by_text("1999 experiments").wait_for()
        visitor.picture("all", full=False)


def start(page) -> None:
    page.get_by_role("button", name="Start", exact=True).click()


def test_sessions_drawn(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.page
        for query in ("experiment=ma-1&profile=tomography&plan=gpu", "experiment=ma-2"):
            visitor.go(f"new?{query}")
            start(page)
            page.get_by_role("heading", name="/user/alice/").wait_for()
        visitor.go("new?experiment=ma-3&profile=broken")
        start(page)
        page.get_by_role("button", name="Try again").wait_for()
        visitor.picture("failed")
        visitor.go("new?experiment=ma-1&experiment=ma-2&profile=general&plan=big")
        start(page)
        page.get_by_text("there is no room for it now").wait_for()
        visitor.picture("refused", full=False)
        visitor.complaints = [one for one in visitor.complaints if "503" not in one]
        with fresh.held():
            visitor.go("new?experiment=ma-1&profile=general")
            start(page)
            page.locator("#steps").get_by_text("Starting the session's server").wait_for()
            visitor.picture("starting")
            page.goto(fresh.url)
            visitor.picture("sessions")
            page.locator("a[data-do=delete]").first.click()
            page.get_by_role("dialog").wait_for()
            visitor.picture("ask", full=False)
        with fresh.held("down"):
            page.goto(fresh.url)
            page.get_by_text("State unknown").first.wait_for()
            visitor.picture("unknown")


def test_errors_drawn(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        visitor.go("sessions/not-there/starting")
        visitor.picture("error")
        visitor.page.goto(fresh.hub + "nothing-here")
        visitor.picture("hub-error")
        visitor.page.goto(f"{fresh.direct}proxy-error/503")
        visitor.picture("proxy-error")
        visitor.page.goto(fresh.hub + "spawn")
        visitor.picture("hub-spawn")
        visitor.page.goto(fresh.hub + "token")
        visitor.picture("hub-token")
        visitor.complaints = [one for one in visitor.complaints if "404" not in one]
