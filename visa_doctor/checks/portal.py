"""Whether the portal answers, and reaches what it needs."""

from __future__ import annotations

from ..finding import fine, unchecked, wrong
from ..http import NoAnswer, ask
from ..installation import Installation
from ..looking import Look

_RESTART = "`systemctl restart visa-portal`, then `journalctl -u visa-portal -n 50`"


async def look(here: Installation) -> Look:
    """At its own address, without the proxy."""
    url = here.services.get("visa", {}).get("url", "")
    if not url:
        yield unchecked("The configuration names no service `visa` with a `url`.", because="configuration")
        return
    address = f"{url.rstrip('/')}/services/visa/health"
    try:
        answer = await ask(address, here.limit * 0.8, trust=False)
    except NoAnswer as error:
        yield wrong(
            f"The portal does not answer ({error}, {url}): people see no pages; their sessions run on.",
            f"{_RESTART}.",
        )
        return
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or "portal" not in said:
        yield wrong(f"Something else than the portal answers at {address} ({answer.status}).", f"{_RESTART}.")
        return
    if not said.get("hub"):
        yield wrong(
            "The portal does not reach the hub.",
            "If the check hub is well: JUPYTERHUB_API_URL and JUPYTERHUB_API_TOKEN of the portal must be the"
            " hub's address and VISA_PORTAL_TOKEN. " + _RESTART + ".",
            because="hub",
        )
    if not said.get("catalogue"):
        yield wrong(
            "The portal shows an old state of the catalogue, since the new one has a mistake.",
            "See the check catalogue; the new version is taken by itself once it is right.",
        )
    if said.get("hub") and said.get("catalogue"):
        yield fine(f"It answers, and reaches hub and catalogue, in {answer.seconds * 1000:.0f} ms.")
