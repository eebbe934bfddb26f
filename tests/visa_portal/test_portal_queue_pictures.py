"""The pictures of "Sessions on the cluster" in docs/users/sessions.md."""

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect
from test_portal_pictures import start
from test_portal_queue import CHOICE, FULL, cluster_plan, free, queue, say, waiting  # noqa: F401
from test_portal_sharing_pictures import looking, take


def test_waiting_drawn(queue, chromium):  # noqa: F811 - the fixture
    soon = datetime.now(UTC) + timedelta(minutes=95)
    free(queue, **FULL, expected=soon.isoformat())
    place = f"Waiting in the queue: 3rd of 4, expected to start at {soon:%H:%M} UTC."
    say(queue, f"{place} It waits for free resources.")
    with looking(queue, chromium) as (visitor, page):
        visitor.go(CHOICE)
        expect(cluster_plan(page)).to_contain_text("Waits in the queue")
        expect(page.locator("#summary")).to_contain_text("waits in the queue first")
        take(page, "cluster-choice", ".offer:has(.offer-head :checked)")
        start(page)
        waiting(page).wait_for()
        take(page, "cluster-waiting", "#start")
