"""The pages for staff in a real browser: what appears by itself, the keyboard alone, who can read them."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from desk_support import Person
from playwright.sync_api import expect
from portal_pictures import visiting

from demo import node


@pytest.fixture(scope="module")
def people(site):
    """Everybody at the hub's API; alice with a session that runs and one that could not start."""
    site.clear("alice")
    made = {name: Person(site, name) for name in ("alice", "bob", "ines", "heidi", "adam")}
    made["alice"].start("titanium", "Microstructure of titanium under load")
    made["alice"].start("lost", "Strain in turbine blades", experiments=["ma-2"], profile="broken")
    yield made
    site.clear("alice")


@pytest.fixture
def desk(site, people, chromium):
    """Opens the pages as somebody."""
    with ExitStack() as stack:
        yield lambda name, **more: stack.enter_context(visiting(site, chromium, name, **more))


def request_of(alice):
    (request,) = alice.call("GET", "visa/sharing/alice/titanium")["requests"]
    return request["id"]


def look(page):
    """Have the page look now, sooner than it would by itself."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_two_staff_take_one_request(desk, people):
    ines, heidi = desk("ines"), desk("heidi")
    for one in (ines, heidi):
        one.go("support").get_by_text("Nobody waits for help").wait_for()
    people["alice"].call("POST", "visa/sharing/alice/titanium/help", {"message": "It does not fit in memory"})
    for one in (ines, heidi):
        look(one.page)
        one.page.get_by_text("It does not fit in memory").wait_for()
    expect(heidi.page.locator("#announce")).to_have_text("One open request for help")
    ines.page.get_by_role("button", name="Take it").click()
    ines.page.get_by_text("Taken by you").wait_for()
    # Quicker than the page noticed.
    if heidi.page.get_by_role("button", name="Take it").count():
        heidi.page.get_by_role("button", name="Take it").click()
        heidi.page.get_by_role("alert").wait_for()
        heidi.complaints = [one for one in heidi.complaints if "409" not in one]
    heidi.page.get_by_text("Taken by Ines Iversen").wait_for()
    assert heidi.page.get_by_role("button", name="Take it").count() == 0
    heidi.picture("support-taken", full=False)
    ines.page.get_by_label("What came of it").fill("Gave it more memory.")
    ines.page.get_by_role("button", name="Close").click()
    ines.page.get_by_text("Nobody waits for help").wait_for()
    look(heidi.page)
    heidi.page.get_by_text("Nobody waits for help").wait_for()


def test_the_way_in_appears_when_the_owner_accepts(desk, people):
    visitor = desk("heidi")
    page = visitor.go("support")
    page.get_by_role("link", name="Microstructure").click()
    page.get_by_role("radio", name="Work together").check()
    page.get_by_label("What you tell the owner").fill("I would like to see the error")
    page.get_by_role("button", name="Ask to join").click()
    page.get_by_text(re.compile("Waiting for the owner's answer, [0-9]+ min left")).wait_for()
    visitor.picture("support-waiting")
    page.evaluate("window.stayed = true")
    answer = {"request": request_of(people["alice"]), "answer": "as-asked"}
    people["alice"].call("POST", "visa/sharing/alice/titanium/answers", answer)
    page.get_by_role("link", name="Open JupyterLab").wait_for()
    assert "Accepted" in page.locator("#announce").inner_text()
    assert re.search("1 h 5[0-9] min left|2 h left", page.locator("#join").inner_text())
    visitor.picture("support-inside")
    assert page.evaluate("window.stayed") is True
    href = page.get_by_role("link", name="Open desktop").get_attribute("href")
    assert re.fullmatch(r"http://alice\.localhost:\d+/user/alice/titanium/desktop/", href)
    # It is on the list as well, and goes when the owner ends it.
    page.get_by_role("link", name="All sessions").click()
    page.locator("#asks").get_by_role("link", name="Open", exact=True).wait_for()
    people["alice"].call("DELETE", "visa/sharing/alice/titanium/members/heidi")
    expect(page.locator("#asks").get_by_role("link", name="Open", exact=True)).to_have_count(
        0, timeout=20_000
    )


def test_a_declined_request_and_one_taken_back(desk, people):
    page = desk("heidi").go("support/alice/titanium")
    page.get_by_role("button", name="Ask to join").click()
    page.get_by_text("Waiting for the owner's answer").wait_for()
    answer = {"request": request_of(people["alice"]), "answer": "decline"}
    people["alice"].call("POST", "visa/sharing/alice/titanium/answers", answer)
    page.locator("#join").get_by_text("The owner declined").wait_for()
    page.get_by_role("button", name="Ask to join").click()
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_role("button", name="Ask to join").wait_for()
    assert people["alice"].call("GET", "visa/sharing/alice/titanium")["requests"] == []


def test_what_is_being_written_is_left_alone(desk, people):
    page = desk("heidi").go("support/alice/titanium")
    message = page.get_by_label("What you tell the owner")
    message.fill("I have not fini")
    # Asked from another tab: the page would show that in place of the form.
    people["heidi"].call("POST", "visa/support/alice/titanium/ask", {"role": "viewer", "message": "other"})
    with page.expect_response(lambda answer: "/live" in answer.url and "Waiting for" in answer.text()):
        look(page)
    page.wait_for_timeout(300)
    assert message.input_value() == "I have not fini"
    message.fill("")
    page.locator("h1").click()
    look(page)
    page.get_by_role("button", name="Withdraw").click()
    page.get_by_role("button", name="Ask to join").wait_for()


#: Pixels that are left in the field beside what it says while nothing is in it.
ROOM = """() => {
  const field = document.getElementById("q");
  const style = getComputedStyle(field);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const room = field.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return room - pen.measureText(field.placeholder).width;
}"""


def test_search_as_one_types(desk, people):
    visitor = desk("heidi")
    page = visitor.go("support")
    assert page.evaluate(ROOM) > 0, "what can be looked for is cut"
    page.get_by_label("Search").press_sequentially("turbine", delay=20)
    expect(page.locator(".case")).to_have_count(1)
    page.wait_for_url(re.compile("q=turbine"))  # part of the word may find the same one
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("running")
    expect(page.locator(".case")).to_have_count(1)
    expect(page.locator(".case")).to_contain_text("Microstructure")
    page.get_by_label("State").select_option("")
    page.get_by_label("Search").fill("nobody has this")
    page.get_by_text("Nothing found").wait_for()


def test_why_it_did_not_start_by_keyboard_alone(desk, people):
    visitor = desk("heidi")
    page = visitor.go("support")
    page.get_by_role("heading", name="Support").wait_for()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.key") == "alice/lost":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/support/alice/lost$"))
    page.get_by_text("ended by itself before it was ready (code 3)").wait_for()
    assert "<script>alert(1)</script>" in page.locator("#log pre").inner_text()
    visitor.picture("support-lost")


def test_administer_a_session(desk, people):
    people["alice"].start("short", "A short one")
    visitor = desk("adam")
    page = visitor.go("admin")
    page.get_by_role("link", name="A short one").wait_for()
    visitor.picture("admin")
    page.get_by_role("link", name="A short one").click()
    page.get_by_label("Message").fill("This node is being repaired. Please stop it today.")
    page.get_by_role("button", name="Send").click()
    page.get_by_text("The owner reads it").wait_for()
    visitor.picture("admin-session")
    page.get_by_role("link", name="Stop it").click()
    dialog = page.get_by_role("dialog")
    assert "A short one (alice)" in dialog.inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Stop it").click()
    dialog.get_by_role("button", name="Stop it").click()
    page.get_by_text("It is being stopped").wait_for()
    expect(page.locator("#title .state")).to_have_text("Stopped", timeout=20_000)
    alice = desk("alice")
    assert "This node is being repaired" in alice.page.inner_text("body")


def test_drain_and_announce(desk, people):
    visitor = desk("adam")
    page = visitor.go("admin/nodes")
    left = page.locator("#node-container-left")
    left.get_by_label("Why").fill("New memory until noon")
    left.get_by_role("button", name="Drain").click()
    page.get_by_text("No new sessions start there").wait_for()
    expect(left).to_contain_text("New memory until noon")
    visitor.picture("admin-nodes")
    left.get_by_role("button", name="Take sessions again").click()
    expect(left).to_contain_text("Takes sessions")
    page.get_by_role("link", name="Announcements").click()
    page.get_by_label("Words").fill("The cluster is down on Tuesday.")
    page.get_by_label("Until").fill("2036-05-01T12:00")
    page.get_by_role("button", name="Announce").click()
    page.get_by_text("Announced.").wait_for()
    # Typed in the browser's zone, which is nine hours ahead.
    until = page.locator(".announcement time").last
    assert until.get_attribute("datetime") == "2036-05-01T03:00:00Z"
    visitor.picture("admin-announcements")
    alice = desk("alice")
    alice.page.get_by_text("The cluster is down on Tuesday.").wait_for()
    page.get_by_role("button", name="End it").click()
    page.get_by_text("It is no longer shown").wait_for()
    alice.go()
    assert alice.page.get_by_text("The cluster is down").count() == 0


def test_the_audit_log_and_its_file(desk, people):
    visitor = desk("adam")
    page = visitor.go("admin/audit")
    page.get_by_label("Owner").fill("alice")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("asked to join").first.wait_for()
    visitor.picture("admin-audit", full=False)
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").click()
    text = Path(download.value.path()).read_text()
    assert download.value.suggested_filename == "audit-log.csv"
    assert "support-asked" in text


PAGES = {
    "heidi": ("support", "support?q=nothing-of-this", "support/alice/titanium", "support/alice/lost"),
    "adam": (
        *("admin", "admin/sessions/alice/titanium", "admin/sessions/alice/titanium/stop", "admin/nodes"),
        *("admin/announcements", "admin/audit", "admin/audit?since=wrong"),
    ),
    "bob": ("support", "admin"),
}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing(desk, people, scheme, width):
    axe = (node.install(Path(__file__).parents[1] / "axe") / "axe-core" / "axe.min.js").read_text()
    people["alice"].http.post("visa/sharing/alice/titanium/help", json={"message": "Help"})
    found = {}
    for name, paths in PAGES.items():
        # axe is put in from outside, past the policy that keeps scripts out.
        visitor = desk(name, bypass_csp=True, color_scheme=scheme, viewport={"width": width, "height": 860})
        for path in paths:
            page = visitor.go(path)
            page.evaluate(axe)
            problems = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            found[path] = [(p["id"], [n["html"][:120] for n in p["nodes"][:3]]) for p in problems]
            overflow = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            assert not page.evaluate(overflow), path
        visitor.complaints = [one for one in visitor.complaints if not re.search("400|403", one)]
    people["alice"].call("DELETE", "visa/sharing/alice/titanium/help")
    assert {path: problems for path, problems in found.items() if problems} == {}
