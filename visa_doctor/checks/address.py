"""Whether people get in by the way that they take: the public address, the web server, the proxy."""

from __future__ import annotations

from urllib.parse import urlsplit

from jupyterhub.utils import url_path_join

from ..finding import fine, warning, worded, wrong
from ..http import NOBODY, Answer, NoAnswer, ask
from ..installation import Installation
from ..looking import Look


async def look(here: Installation) -> Look:
    """The hub and the portal, each at the name that browsers ask for."""
    pages = {"the hub": url_path_join(here.url, here.app.hub_prefix, "health")}
    if here.site.portal_url.startswith("http"):
        pages["the portal"] = url_path_join(here.site.portal_url, "health")
    well = True
    for what, address in pages.items():
        try:
            # Whether the certificate is believed is another check.
            answer = await ask(address, here.limit * 0.4, trust=False)
        except NoAnswer as error:
            well = False
            if (urlsplit(address).hostname or "").endswith(".localhost"):
                continue  # browsers know such names, programs need not
            yield wrong(
                f"{address} does not answer ({error}): this is where people come.",
                "If the check proxy is well, look at what stands before it: web server, packet filter, DNS.",
                because="names" if error.nameless else "",
            )
            continue
        if finding := _odd(what, address, answer):
            well = False
            yield finding
    if well:
        yield fine(f"Hub and portal answer at {here.url} as people reach them.")


def _odd(what: str, address: str, answer: Answer):
    if answer.status in NOBODY:
        return wrong(
            f"{address} answers {answer.status}: the way to {what} ends at the web server or proxy.",
            "See the checks proxy, hub and portal first.",
            because=what.removeprefix("the "),
        )
    if answer.status in (301, 302, 307, 308, 404):
        return wrong(
            f"{address} answers {answer.status}: it is not {what} that answers.",
            "The web server must pass on every path and the `Host` header; the proxy runs with"
            " --host-routing.",
        )
    if answer.status != 200:
        return warning(f"{address} answers {answer.status}.", f"See the log of {what}.")
    try:
        answer.json()
    except ValueError as error:
        if what == "the portal":
            return wrong(
                f"{address} answers, and not as the portal does: {worded(error)}.", "See what is there."
            )
    return None
