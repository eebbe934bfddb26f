"""What the pages know of a session beyond its form: its datasets, and a start that left nothing behind."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from test_portal_http import fill, post, soup, wait_ready


@pytest.fixture(scope="module")
def alice(site):
    with closing(site.client("alice")) as client:
        yield client


def until(condition, what, seconds=10):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.1)  # between two looks


def start_shown(client, site, name):
    return soup(client.get(f"{site.url}sessions/{name}/starting")).select_one("#start")


def test_chosen_datasets_are_told_on_the_tile(fresh, alice):
    """The page chooses no datasets; a script may."""
    options = {
        "experiments": ["ma-1"],
        "datasets": ["ma-1-s1", "ma-1-s2"],
        "profile": "tomography",
        "plan": "small",
    }
    answer = fresh.rest("POST", "users/alice/servers/chosen", json={"user_options": options})
    assert answer.status_code in (201, 202), answer.text
    wait_ready(alice, fresh, "alice")
    tile = soup(alice.get(fresh.url)).select_one(".tile")
    assert "Datasets" in tile.text
    assert "ma-1-s1, ma-1-s2" in tile.text


def test_a_start_of_which_the_hub_keeps_nothing_can_be_tried_again(fresh, alice):
    """As when data turn out not to be there: the portal still knows all that was chosen."""
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go", title="Mine")
    name = form["name"][0]
    with fresh.held():
        post(alice, fresh, form)
        # The portal asks the hub after it has answered: only then is there something to take away.
        until(lambda: fresh.sessions("alice").get(name, {}).get("pending") == "spawn", "the hub starts it")
        gone = fresh.rest("DELETE", f"users/alice/servers/{name}", json={"remove": True})
        assert gone.status_code in (202, 204), gone.text
        until(lambda: not fresh.sessions("alice"), "the hub keeps nothing of it")
        until(
            lambda: start_shown(alice, fresh, name)["data-state"] == "failed", "the page says that it failed"
        )
    page = soup(alice.get(f"{fresh.url}sessions/{name}/starting"))
    assert page.select_one(".subject").text == "Mine"
    change = page.find("a", string="Change the choice")["href"]
    assert "experiment=ma-1" in change
    assert "profile=tomography" in change
    post(alice, fresh, {"_xsrf": form["_xsrf"]}, f"sessions/{name}/start")
    wait_ready(alice, fresh, "alice")
    (server,) = fresh.sessions("alice").values()
    assert server["user_options"]["experiments"] == ["ma-1"]
