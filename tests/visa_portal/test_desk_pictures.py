"""The pictures of docs/staff, taken from pages as they are on a working day."""

from desk_support import Person
from portal_pictures import visiting
from portal_support import RESULTS


def keep(visitor, name: str, height: int = 640) -> None:
    """A picture for the documentation, of the top of the page."""
    (RESULTS / "pictures").mkdir(parents=True, exist_ok=True)
    page = visitor.page
    page.set_viewport_size({"width": 1180, "height": height})
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    page.screenshot(path=RESULTS / "pictures" / f"{name}.png", animations="disabled")


def test_pictures_for_the_documentation(fresh, chromium):
    alice, carol, heidi = (Person(fresh, name) for name in ("alice", "carol", "heidi"))
    alice.start("tomography-k3fd", "Microstructure of additively manufactured titanium")
    alice.start("broken-99ab", "Strain fields in turbine blades", profile="broken", experiments=["ma-2"])
    carol.start("tomography-7c2p", "Porosity of volcanic rocks")
    alice.call(
        "POST",
        "visa/sharing/alice/broken-99ab/help",
        {"message": "It ends before it is ready, twice now. Could you have a look?"},
    )
    member = {"name": "carol", "role": "collaborator"}
    alice.call("POST", "visa/sharing/alice/tomography-k3fd/members", member)
    wish = {"role": "viewer", "message": "Let me see the error"}
    heidi.call("POST", "visa/support/alice/tomography-k3fd/ask", wish)
    # Times as a reader in Europe knows them.
    with visiting(fresh, chromium, "heidi", locale="en-GB", timezone_id="Europe/Paris") as visitor:
        visitor.go("support").get_by_text("min left").wait_for()
        keep(visitor, "support")
        page = visitor.go("support/alice/broken-99ab")
        # The tests' session says what would harm a page; this is what a real one says.
        page.evaluate(
            "document.querySelector('#log pre').textContent = \"ImportError: No module named 'nabu'\""
        )
        keep(visitor, "support-session")
    with visiting(fresh, chromium, "adam", locale="en-GB", timezone_id="Europe/Paris") as visitor:
        visitor.go("admin").get_by_text("Porosity").wait_for()
        keep(visitor, "administration", 560)
        visitor.go("admin/nodes").get_by_text("left").first.wait_for()
        keep(visitor, "nodes", 860)
        visitor.go("admin/audit?q=alice").get_by_text("asked to join").first.wait_for()
        keep(visitor, "audit", 560)
    request = alice.call("GET", "visa/sharing/alice/tomography-k3fd")["requests"][0]["id"]
    answer = {"request": request, "answer": "decline"}
    alice.call("POST", "visa/sharing/alice/tomography-k3fd/answers", answer)
    alice.call("DELETE", "visa/sharing/alice/broken-99ab/help")
