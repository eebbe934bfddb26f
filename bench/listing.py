"""The experiment list as a browser asks for it: 2,000 experiments, all of them visible to who asks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx

from .desktop import browser, log_in
from .hub import BenchFailed

NOTHING = "nothing found"
#: What is asked for, each so many times; the list's worst is what counts.
QUERIES = {
    "first page": {"scope": "all"},
    "words": {"scope": "all", "q": "pressure"},
    "one instrument": {"scope": "all", "instrument": "id19"},
    "dates": {"scope": "all", "since": "2025-01-01", "until": "2025-12-31"},
    "last page": {"scope": "all", "offset": 1950},
    NOTHING: {"scope": "all", "q": "no such words anywhere"},
}


async def list_times(site_file: Path, times: int) -> dict[str, list[float]]:
    """Seconds of each request, by query; through the proxy, so a little more than the portal's own time.

    Asked as the administrator, who may see every experiment. Raises BenchFailed when the list cannot be
    had, or holds fewer than 2,000 experiments.
    """
    site = json.loads(site_file.read_text())
    lines = (site_file.parent / "experiments.jsonl").read_text().splitlines()
    count = sum(bool(line.strip()) for line in lines)
    if count < 2000:
        raise BenchFailed(f"the catalogue has {count} experiments, not 2,000")
    who = next(name for name, one in site["accounts"].items() if "administrator" in one["roles"])
    portal, cookies = await _visit(site["url"], who, site["accounts"][who]["password"])
    taken: dict[str, list[float]] = {name: [] for name in QUERIES}
    async with httpx.AsyncClient(headers={"Cookie": cookies}, trust_env=False, timeout=30) as client:
        for number in range(times + 1):
            for name, query in QUERIES.items():
                began = time.perf_counter()
                answer = await client.get(f"{portal}new/experiments", params=query)
                seconds = time.perf_counter() - began
                if answer.status_code != 200:
                    raise BenchFailed(f"{answer.url} answers {answer.status_code}")
                if ('name="experiment"' in answer.text) == (name == NOTHING):
                    raise BenchFailed(f"{answer.url} is not the list it should be")
                if number:  # the first round warms up
                    taken[name].append(seconds)
    return taken


async def _visit(url: str, account: str, password: str) -> tuple[str, str]:
    """The portal's address and a browser's cookies there, after logging in as a person does."""
    async with browser() as context:
        await log_in(context, url, account, password)
        page = await context.new_page()
        await page.goto(url)
        await page.wait_for_url("**/services/visa/**")
        portal = page.url.partition("/services/visa/")[0] + "/services/visa/"
        cookies = await context.cookies(portal)
        return portal, "; ".join(f"{one['name']}={one['value']}" for one in cookies)
