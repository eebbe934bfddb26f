"""The experiment list as a browser asks for it: 2,000 experiments, all of them visible to who asks."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import urlencode

from demo.login import browser, log_in

from .hub import BenchFailed

#: What is asked for, each so many times; the list's worst is what counts.
QUERIES = {
    "first page": {"scope": "all"},
    "words": {"scope": "all", "q": "tomography of a"},
    "one instrument": {"scope": "all", "instrument": "id19"},
    "dates": {"scope": "all", "since": "2025-01-01", "until": "2025-12-31"},
    "last page": {"scope": "all", "offset": 1950},
    "nothing found": {"scope": "all", "q": "no such words anywhere"},
}


def list_times(site_file: Path, times: int) -> dict[str, list[float]]:
    """Seconds of each request, by query; through the proxy, so a little more than the portal's own time.

    Raises BenchFailed when the list cannot be had, or holds less than 2,000 experiments.
    """
    site = json.loads(site_file.read_text())
    lines = (site_file.parent / "experiments.jsonl").read_text().splitlines()
    count = sum(bool(line.strip()) for line in lines)
    if count < 2000:
        raise BenchFailed(f"the catalogue has {count} experiments, not 2,000")
    who = next(name for name, one in site["accounts"].items() if "administrator" in one["roles"])
    taken: dict[str, list[float]] = {name: [] for name in QUERIES}
    with browser(trust_env=False) as client:
        log_in(client, site["url"], who, site["accounts"][who]["password"])
        address = f"{site['url']}/services/visa/new/experiments"
        for number in range(times + 1):
            for name, query in QUERIES.items():
                began = time.perf_counter()
                answer = client.get(f"{address}?{urlencode(query)}")
                seconds = time.perf_counter() - began
                if answer.status_code != 200 or "login" in str(answer.url):
                    raise BenchFailed(f"{answer.url} answers {answer.status_code}")
                if number:  # the first round logs in at the portal and warms it up
                    taken[name].append(seconds)
    return taken
