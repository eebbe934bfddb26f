"""Whether the hub can read its configuration, and whether it says what somebody meant."""

from __future__ import annotations

from ..finding import fine, warning, wrong
from ..installation import Installation
from ..looking import Look, in_thread
from ..settings import faults


async def look(here: Installation) -> Look:
    """Read to its end, each setting known and possible, and nothing turned off that people rely on."""
    well = True
    if here.fault:
        well = False
        yield wrong(
            f"The hub cannot read its configuration: {here.fault}.",
            "Mend that line, or put the last version back; a hub that runs goes on with what it read at"
            " its start.",
            stops=True,
        )
    for fault in await in_thread(lambda: list(faults(here.config))):
        well = False
        meant = f" Perhaps c.{_beside(fault.name, fault.like)} was meant." if fault.like else ""
        yield wrong(
            f"c.{fault.name}: {fault.problem}.{meant}",
            "Correct it in the file of jupyterhub_config.d/ that sets it, then restart the hub; sessions"
            " run on.",
        )
    async for finding in _expected(here):
        well = False
        yield finding
    if well:
        yield fine(f"{here.config_file} can be read, and every setting in it is known.")


def _beside(name: str, like: str) -> str:
    section, dot, _ = name.partition(".")
    return f"{section}.{like}" if dot else like


async def _expected(here: Installation) -> Look:
    """What `jupyterhub_config.py` has, and a site's own file may have undone."""
    app, config = here.app, here.config
    if not app.subdomain_host:
        yield wrong(
            "c.JupyterHub.subdomain_host is not set, so the page of one session can read another person's.",
            "Set VISA_URL, or c.JupyterHub.subdomain_host.",
        )
    if app.cleanup_servers:
        yield wrong(
            "c.JupyterHub.cleanup_servers is on: a hub that stops ends every session.",
            "Set it to False.",
        )
    if not here.is_tls and not (here.host == "localhost" or here.host.startswith("127.")):
        yield wrong(
            f"People come by {here.url}, where logins and data travel readable for everybody on the way.",
            "Serve it over TLS and give VISA_URL as https://... (docs/operators/running.md).",
        )
    if here.is_tls and not app.cookie_host_prefix_enabled:
        yield warning(
            "c.JupyterHub.cookie_host_prefix_enabled is off: a session's page may set cookies for the hub.",
            "Set it to True.",
        )
    admins = config.get("VisaAuthenticator", {}).get("admin_users") or ()
    if admins:
        names = ", ".join(sorted(map(str, admins)))
        yield warning(
            f"c.VisaAuthenticator.admin_users names {names}, who can enter every session.",
            "Leave it empty but in an emergency: the role `administrator` is enough to run the place.",
        )
