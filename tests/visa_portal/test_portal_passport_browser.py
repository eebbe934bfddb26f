"""Datasets and passports in a browser: what is searched and ticked, and how the pages look."""

import json

import pytest
from portal_pictures import visiting
from test_portal_sharing_pictures import take

from tests.visa_spawner.local_images import digest_of


@pytest.fixture
def updated(fresh):
    """The software of tomography has been updated; what it was is there still."""
    file = fresh.folder / "marks" / "images.json"

    def say(*versions):
        file.write_text(json.dumps({"tomography": versions}))

    yield say
    file.unlink(missing_ok=True)


def test_datasets_are_searched_and_stay_chosen(fresh, chromium):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new?experiment=ma-3")
        page.get_by_text("All data").click()
        place = page.locator("[data-datasets]")
        assert place.locator("li").count() == 50
        place.get_by_label("leaf_003").check()
        place.get_by_text("More", exact=True).click()
        place.get_by_label("leaf_060").wait_for()
        assert place.locator("li").count() == 100
        place.get_by_label("leaf_060").check()
        place.get_by_label("Find datasets").fill("leaf_11")
        place.get_by_text("10 datasets").wait_for()
        place.get_by_label("Find datasets").press("Enter")  # starts nothing
        place.get_by_label("leaf_119").check()
        assert place.locator("summary").text_content() == "3 of 120 datasets"
        visitor.picture("datasets", full=False)
        # Another experiment joins: what was chosen is chosen still.
        page.get_by_role("checkbox", name="titanium").check()
        page.locator(".picked > li").nth(1).wait_for()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_role("heading", name="/user/alice/").wait_for()
        (server,) = fresh.sessions("alice").values()
        assert sorted(server["user_options"]["datasets"]) == ["leaf_003", "leaf_060", "leaf_119"]


def test_passports_drawn(fresh, chromium, updated):
    with visiting(fresh, chromium) as visitor:
        page = visitor.go("new?experiment=ma-1&dataset=ma-1-s1")
        page.get_by_text("About this software").first.click()
        visitor.picture("about-software", full=False)
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_role("heading", name="/user/alice/").wait_for()
        visitor.go()
        visitor.picture("tile-with-passport")
        page.get_by_role("link", name="Passport").click()
        page.get_by_text("1 Python package").click()
        visitor.picture("passport")
        take(page, "passport", ".passport")
        updated("1", "2")
        page.get_by_role("link", name="Start again like this").click()
        page.get_by_text("Exactly that software").wait_for()
        visitor.picture("from-passport")
        take(page, "from-passport", ".offer:has(.offer-head :checked)")
        # What came from a passport is still asked for when another experiment joins.
        page.get_by_role("radio", name="Today's software").check()
        page.get_by_role("checkbox", name="bone scan").check()
        page.locator(".picked > li").nth(1).wait_for()
        assert page.get_by_role("radio", name="Today's software").is_checked()
        page.get_by_role("radio", name="Exactly that software").check()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_role("heading", name="/user/alice/").wait_for()
        asked = [server["user_options"].get("image") for server in fresh.sessions("alice").values()]
        assert sorted(filter(None, asked)) == [digest_of("tomography")]
        updated("2")
        page = visitor.go(
            f"new?experiment=ma-1&profile=tomography&plan=small&image={digest_of('tomography')}"
        )
        page.get_by_text("That software is not on this machine any more").wait_for()
        visitor.picture("software-gone", full=False)
        visitor.go("again")
        visitor.picture("again")
