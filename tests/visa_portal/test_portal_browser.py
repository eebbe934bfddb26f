"""The pages in a real browser: two clicks, the keyboard alone, what moves by itself, who can read them."""

import re
from pathlib import Path

import pytest
from portal_pictures import visiting
from portal_support import NASTY, RIGHT_TO_LEFT
from test_portal_pictures import choose, start

from demo import node


def tiles(page, state):
    return page.locator(f'.tile[data-state="{state}"]')


def test_two_clicks_from_the_list_to_the_session(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new")
        page.get_by_text("Microstructure of additively").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url(re.compile(r"//alice\.localhost:\d+/user/alice/tomography-\w{4}/desktop/$"))
        page.go_back()
        # "Back" leads to where one came from, not to the page that sends one forward again.
        page.wait_for_url(re.compile("/services/visa/new"))
        (server,) = fresh.sessions("alice").values()
        options = server["user_options"]
        assert (options["profile"], options["plan"], options["interface"]) == (
            "tomography",
            "small",
            "desktop",
        )
        assert (options["screen"], options["keyboard"]) == ("1280x860", "fr")


def test_a_click_before_the_page_s_program_has_come_counts(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page, held = visitor.page, []
        page.route("**/new.js", lambda route: held.append(route))
        page.goto(f"{visitor.site.url}new", wait_until="commit")
        page.get_by_role("checkbox", name="titanium").check()
        assert page.get_by_role("button", name="Start", exact=True).count() == 0
        held[0].continue_()
        page.get_by_role("button", name="Start", exact=True).wait_for()


def test_search_as_one_types(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new")
        page.get_by_role("radio", name="All").check()
        page.get_by_text("1999 experiments").wait_for()
        page.get_by_label("Search").press_sequentially("volcanic part 179", delay=20)
        page.get_by_text(re.compile(r"^[1-9] experiments?$")).wait_for()
        assert {"in-179", "in-1793", "in-1799"} >= set(page.locator(".row code").all_text_contents()) != set()
        page.get_by_label("Search").fill("nothing has this name")
        page.get_by_text("Nothing found").wait_for()
        page.get_by_label("Search").fill("")
        page.get_by_label("Instrument").select_option("id21")
        page.get_by_text("500 experiments").wait_for()
        assert "instrument=id21" in page.url
        page.get_by_role("link", name="Show more").click()
        page.locator(".row").nth(99).wait_for()
        assert page.locator(".row").count() == 100
        page.reload()
        page.get_by_text("500 experiments").wait_for()
        page.get_by_label("To", exact=True).fill("2015-01-10")
        page.get_by_text("2 experiments").wait_for()


def test_a_choice_outlives_the_search_and_grows(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new")
        choose(page, "titanium")
        page.get_by_label("Search").fill("bone scan")
        page.get_by_text("1 experiment", exact=True).wait_for()
        page.get_by_role("radio", name="General work").check()
        page.get_by_label("Title").fill("Both")
        page.get_by_role("checkbox", name="bone scan").check()
        page.get_by_role("button", name="Leave out ma-3").wait_for()
        # What was set by hand stays as another experiment is chosen.
        assert page.get_by_role("radio", name="General work").is_checked()
        assert page.get_by_label("Title").input_value() == "Both"
        assert page.locator('#go input[name="name"]').input_value().startswith("general-")
        page.get_by_role("button", name="Leave out ma-1").click()
        page.get_by_role("button", name="Leave out ma-1").wait_for(state="detached")
        page.reload()
        page.get_by_role("button", name="Leave out ma-3").wait_for()
        start(page)
        page.get_by_role("heading", name="/user/alice/").wait_for()
        (server,) = fresh.sessions("alice").values()
        assert server["user_options"]["experiments"] == ["ma-3"]


def test_keyboard_alone(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        for _ in range(3):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/new$"))
        while page.evaluate("document.activeElement.id") != "q":
            page.keyboard.press("Tab")
        page.keyboard.type("titanium")
        page.get_by_text("1 experiment", exact=True).wait_for()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.locator("#start:focus").wait_for()
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/user/alice/tomography-\w{4}/desktop/$"))


def test_tiles_follow_what_happens(fresh, chromium):
    with visiting(fresh, chromium) as visitor, fresh.held():
        page = visitor.go("new?experiment=ma-1")
        start(page)
        page.wait_for_url(re.compile("/starting$"))
        name = page.url.split("/")[-2]
        page.get_by_role("link", name="My sessions").first.click()
        tiles(page, "starting").wait_for()
        page.evaluate("window.stayed = true")
        page.get_by_role("link", name="Cancel").focus()
        (fresh.folder / "marks" / "hold").unlink()
        tiles(page, "running").wait_for()
        assert page.locator("#announce").inner_text().endswith("Running")
        # The tile was replaced below the focus, which stays where it was.
        assert page.evaluate("document.activeElement.dataset.do") == "stop"
        assert page.get_by_role("link", name="Open desktop").is_visible()
        fresh.rest("DELETE", f"users/alice/servers/{name}")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # sooner than it would
        tiles(page, "stopped").wait_for()
        assert page.evaluate("window.stayed") is True


def test_stop_and_delete_ask_first(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new?experiment=ma-2")
        start(page)
        page.get_by_role("heading", name="/user/alice/").wait_for()
        page = visitor.go()
        page.get_by_role("link", name="Stop").click()
        dialog = page.get_by_role("dialog")
        assert NASTY in dialog.inner_text()
        page.keyboard.press("Escape")
        assert not dialog.is_visible()
        assert tiles(page, "running").count() == 1
        page.get_by_role("link", name="Stop").click()
        dialog.get_by_role("button", name="Stop").click()
        page.get_by_role("button", name="Start again").wait_for()
        page.get_by_role("link", name="Delete").click()
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_text("You have no session yet").wait_for()


def test_coming_back_to_a_start(fresh, chromium):
    with visiting(fresh, chromium) as visitor, fresh.held():
        page = visitor.go("new?experiment=ma-1")
        start(page)
        page.locator("#steps").get_by_text("Starting the session's server").wait_for()
        steps = page.locator("#steps li span").all_inner_texts()
        page.goto("about:blank")
        visitor.go()
        page.get_by_role("link", name="Watch it start").click()
        page.locator("#steps").get_by_text(steps[-1]).wait_for()
        assert page.locator("#steps li span").all_inner_texts()[: len(steps)] == steps
        (fresh.folder / "marks" / "hold").unlink()
        page.wait_for_url(re.compile("/user/alice/"))


def test_a_start_can_be_cancelled(fresh, chromium):
    with visiting(fresh, chromium) as visitor, fresh.held():
        page = visitor.go("new?experiment=ma-1")
        start(page)
        page.get_by_role("link", name="Cancel").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
        page.get_by_role("button", name="Start again").wait_for()


def test_a_start_that_dies_says_why(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new?experiment=ma-1&profile=broken")
        start(page)
        page.get_by_role("heading", name="Could not start").wait_for()
        assert "ended by itself before it was ready (code 3)" in page.locator("#failure").inner_text()
        assert "ImportError" not in page.content()
        page.get_by_role("link", name="Change the choice").click()
        assert page.get_by_role("radio", name="Broken").is_checked()
        visitor.go()
        assert "ended by itself" in tiles(page, "failed").inner_text()
    with visiting(fresh, chromium, "heidi") as visitor:
        # Staff also read the last lines of the log; what they say is shown as text.
        visitor.go("new?home=1&profile=broken")
        start(visitor.page)
        visitor.page.get_by_role("button", name="Try again").wait_for()
        visitor.go().get_by_text("Last lines of its log").click()
        assert "<script>alert(1)</script>" in visitor.page.locator("pre").inner_text()
    fresh.clear("heidi")


def test_times_in_the_browsers_own_zone(fresh, chromium):
    with visiting(fresh, chromium, timezone_id="Pacific/Kiritimati", locale="en-GB") as visitor:
        page = visitor.go("new?experiment=ma-1")
        start(page)
        page.get_by_role("heading", name="/user/alice/").wait_for()
        since = visitor.go().locator("time[data-moment]").first
        shown, iso = since.inner_text(), since.get_attribute("datetime")
        expected = page.evaluate("t => new Date(t).toLocaleTimeString('en-GB', {timeStyle: 'short'})", iso)
        assert shown.endswith(expected)
        assert int(expected[:2]) == (int(iso[11:13]) + 14) % 24
        assert page.locator("time[data-left]").inner_text() in ("7 h 59 min", "8 h")
        # What ends it stands on one line, whatever goes to the next.
        ends = [page.locator(f'.tile [data-do="{one}"]').bounding_box()["y"] for one in ("stop", "delete")]
        assert ends[0] == ends[1]


#: The same moment by each of the ways in which pages show one.
WAYS = """async () => {
  const { src } = document.querySelector('script[src$="sessions.js"]');
  const { showTimes, localised } = await import(new URL("page.js", src));
  const now = new Date();
  now.setHours(9, 5, 0, 0);
  const made = document.createElement("p");
  for (const way of ["clock", "moment"]) {
    const time = document.createElement("time");
    time.dateTime = now.toISOString();
    time.dataset[way] = "";
    made.append(time);
  }
  showTimes(made);
  const [clock, moment] = [...made.children].map((one) => one.textContent);
  return [clock, moment, localised(`${now.toISOString().slice(11, 16)} UTC`)];
}"""


@pytest.mark.parametrize(("locale", "said"), [("en-US", "9:05 AM"), ("en-GB", "09:05"), ("fr-FR", "09:05")])
def test_times_have_one_form_everywhere(fresh, chromium, locale, said):
    # What is told has no day where it is the hub's today, which elsewhere may be another one.
    with visiting(fresh, chromium, timezone_id="UTC", locale=locale) as visitor:
        clock, moment, told = [one.replace("\u202f", " ") for one in visitor.page.evaluate(WAYS)]
        assert clock == told == said
        assert moment.endswith(said)


def test_titles_are_text_in_the_browser(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        visitor.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page = visitor.go("new")
        assert page.locator(".row-title").all_text_contents()[:2] == [RIGHT_TO_LEFT, NASTY]
        choose(page, "quoted")
        assert NASTY in page.locator(".picked").inner_text()
        page.get_by_label("Title").fill(f"{NASTY} {RIGHT_TO_LEFT}")
        start(page)
        page.get_by_role("heading", name="/user/alice/").wait_for()
        assert NASTY in visitor.go().locator(".tile h2").inner_text()


PAGES = {
    "login": None,
    "empty": "",
    "new": "new?scope=all",
    "chosen": "new?experiment=ma-1&experiment=ma-2",
    "passport brought": "again",
    "from passport": "new?experiment=ma-1&profile=tomography&plan=small&was=abc&image=sha256:" + "0" * 64,
    "error": "sessions/none/starting",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(fresh, chromium, scheme):
    axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
    # axe is put in from outside, past the policy that keeps scripts out.
    with visiting(fresh, chromium, log_in=False, bypass_csp=True, color_scheme=scheme) as visitor:
        page, found = visitor.page, {}

        def look(name):
            page.evaluate(axe)
            problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            found[name] = [(p["id"], [n["html"][:120] for n in p["nodes"][:3]]) for p in problems]

        for name, path in PAGES.items():
            if path is None:
                page.goto(fresh.url)
                look(name)
                visitor.log_in()
            else:
                visitor.go(path)
                look(name)
        with fresh.held():
            visitor.go("new?experiment=ma-1")
            start(page)
            page.locator("#steps").get_by_text("Starting the session's server").wait_for()
            look("starting")
        page.get_by_role("heading", name="/user/alice/").wait_for()
        visitor.go()
        look("sessions")
        page.get_by_role("link", name="Passport").click()
        page.get_by_role("heading", name="Passport").wait_for()
        look("passport")
        visitor.go("new?experiment=ma-3")
        for closed in ("All data", "About this software"):
            page.get_by_text(closed).first.click()
        look("datasets")
        visitor.go()
        page.get_by_role("link", name="Delete").click()
        look("dialog")
        assert {name: problems for name, problems in found.items() if problems} == {}
        visitor.complaints = [one for one in visitor.complaints if "404" not in one]
