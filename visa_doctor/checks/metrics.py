"""Whether the hub's figures can be read, by which alarms are raised; and what they say that is not over."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from ..finding import fine, unchecked, warning, wrong
from ..http import NoAnswer, ask
from ..installation import Installation
from ..looking import Look


async def look(here: Installation) -> Look:
    """As Prometheus reads them."""
    token = here.reader_of_metrics()
    if not token:
        yield warning(
            "No service may read /hub/metrics, so no alarm is ever raised.",
            "Add a service with the scope read:metrics, and scrape with its token"
            " (docs/operators/runbook.md).",
        )
        return
    try:
        headers = {"Authorization": f"token {token}"}
        answer = await ask(f"{here.hub_url}metrics", here.limit * 0.8, headers, trust=False)
    except NoAnswer as error:
        yield unchecked(f"The figures cannot be read: {error}.", because="hub")
        return
    if answer.status != 200:
        yield wrong(
            f"The hub answers {answer.status} to who reads its figures: no alarm is ever raised.",
            "The token of the service must be the one that the hub was started with: restart the hub.",
        )
        return
    samples = [one for family in text_string_to_metric_families(answer.text) for one in family.samples]
    left = {
        one.labels["backend"]: int(one.value) for one in samples if one.name == "visa_leftovers" and one.value
    }
    for backend, count in sorted(left.items()):
        yield warning(
            f"{count} of {backend} should be gone and could not be removed yet; they keep their room.",
            "The hub tries again by itself once their machine answers; see docs/operators/runbook.md,"
            " VisaLeftovers.",
            backend,
        )
    if not left:
        yield fine(f"The hub tells {len(samples)} figures.")
