"""Whether the site's certificate is believed, holds for all its names, and for how long."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from visa_spawner.running import certificate

from ..certificates import days_left
from ..finding import Verdict, fine, unchecked, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

_ANEW = (
    "Have it made anew (`certbot renew`), and reload the web server or proxy that shows it; sessions run on."
)


async def look(here: Installation) -> Look:
    """As the site shows it at its public address; those of engines are looked at with the engines."""
    if not here.is_tls:
        yield fine("The site is not served over TLS, so there is no certificate.")
        return
    host, port = here.host, urlsplit(here.url).port or 443
    try:
        found = await in_thread(lambda: certificate.served(host, port, here.limit * 0.4))
    except OSError as error:
        yield unchecked(f"{host}:{port} shows no certificate: {worded(error)}.", because="address")
        return
    faults = days_left(found, "The site's certificate", _ANEW)
    below = f"visa-doctor-{secrets.token_hex(4)}.{host}"
    if not found.covers(host):
        what = f"The site's certificate does not hold for {host}: it holds for {_said(found)}."
        faults.append(wrong(what, f"Get one for {host} and *.{host}."))
    elif not found.covers(below):
        what = f"The site's certificate does not hold for *.{host}, where portal and sessions are."
        faults.append(wrong(what, f"Get one for {host} and *.{host}; it takes a DNS challenge as a rule."))
    # One that is over, or for another name, is not believed for that.
    if found.distrust and not any(one.verdict is Verdict.WRONG for one in faults):
        what = f"The site's certificate is not believed on this machine: {found.distrust}."
        mend = (
            "Serve the whole chain, with the intermediate certificates; or let this machine believe your own"
            " authority: its certificate as NAME.crt in /usr/local/share/ca-certificates, then"
            " `update-ca-certificates`."
        )
        faults.append(wrong(what, mend))
    for fault in faults:
        yield fault
    if not faults:
        yield fine(f"The site's certificate holds for {host} and all below it, until {found.ends:%d %b %Y}.")


def _said(found: certificate.Certificate) -> str:
    return ", ".join(found.names) or "no name"
