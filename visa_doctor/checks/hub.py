"""Whether the hub answers, and as quickly as it should."""

from __future__ import annotations

from jupyterhub import __version__

from ..finding import fine, warning, wrong
from ..http import NoAnswer, ask
from ..installation import Installation
from ..looking import Look

#: Seconds for a word of health: one that takes longer stands still in between.
SLOW = 2.0
_RUN_ON = "Sessions run on, and who is in one works on"


async def look(here: Installation) -> Look:
    """At its own address, without the proxy."""
    address = here.hub_url
    try:
        health = await ask(f"{address}health", here.limit * 0.6, trust=False)
    except NoAnswer as error:
        if error.late:
            yield wrong(
                f"The hub takes connections at {address} and does not answer: it stands still. {_RUN_ON}.",
                "`systemctl restart visa-hub`; keep the last lines of its log (`journalctl -u visa-hub -n"
                " 300`).",
            )
        else:
            yield wrong(
                f"The hub does not run: {error}, {address}. {_RUN_ON}; nobody logs in or starts one.",
                "`systemctl restart visa-hub`, then `journalctl -u visa-hub -n 50`: it says there what"
                " stops it.",
            )
        return
    if health.status != 200:
        yield wrong(
            f"The hub answers {health.status} when asked how it is.",
            "`journalctl -u visa-hub -n 100`, then `systemctl restart visa-hub`; sessions run on.",
        )
        return
    if health.seconds > SLOW:
        yield warning(
            f"The hub took {health.seconds:.1f} seconds to say that it is well.",
            "See what its core does (`top -p $(pgrep -of jupyterhub)`), and docs/operators/scale.md.",
        )
        return
    yield fine(f"It answers at {address}, in {health.seconds * 1000:.0f} ms.")
    async for finding in _version(here, address):
        yield finding


async def _version(here: Installation, address: str) -> Look:
    try:
        said = (await ask(f"{address}api/", here.limit * 0.3, trust=False)).json()
    except (NoAnswer, ValueError):
        return
    running = said.get("version") if isinstance(said, dict) else None
    if running and running != __version__:
        yield warning(
            f"The hub that runs is JupyterHub {running}, and {__version__} is installed.",
            "`systemctl restart visa-hub` to run what is installed; sessions run on.",
        )
