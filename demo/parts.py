"""The demo's processes, in the order in which they start.

The hub comes last: at its start it waits for the services it is told of.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx

from images.engine import podman_environment

from . import computing, libvirt, machines, node
from .cluster import daemons
from .processes import Part
from .site import ROOT, Site

FACILITY = "Demo Light Source"
VENV_BIN = Path(sys.executable).parent

#: What a part may take from the environment of whoever started the demo; the rest is named below.
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TZ")


def environment(**settings: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    kept["PATH"] = f"{VENV_BIN}:{kept.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


def answers(
    url: str, headers: dict[str, str] | None = None, socket: Path | None = None, wanted: range = range(500)
) -> Callable[[], Awaitable[None]]:
    """A wait until `url` gives a status in `wanted`, by default anything but a server error."""

    async def wait() -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket)) if socket else None
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=5) as client:
            while True:
                try:
                    status = (await client.get(url, headers=headers)).status_code
                    if status in wanted:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    return wait


def engine(site: Site) -> Part:
    """Podman's Docker-compatible API, on a socket of the demo's own."""
    return Part(
        name="engine",
        command=["podman", "system", "service", "--time=0", f"unix://{site.engine_socket}"],
        environment=environment(CONTAINERS_CONF=podman_environment()["CONTAINERS_CONF"]),
        ready=answers("http://engine/_ping", socket=site.engine_socket),
    )


def virtualization(site: Site) -> Part:
    """Libvirt, unless this machine runs its own; machines outlive it, as the daemon's own do."""

    async def answers_too() -> None:
        while not await asyncio.to_thread(libvirt.answers):  # noqa: ASYNC110 - a daemon's socket
            await asyncio.sleep(0.5)

    return Part(
        name="libvirt",
        command=[sys.executable, "-m", "demo.machines", str(site.run / "libvirt")],
        environment=environment(PYTHONPATH=str(ROOT)),
        ready=answers_too,
        grace=20,
    )


def provider(site: Site) -> Part:
    """The OpenID Connect provider with the demo's accounts."""
    return Part(
        name="provider",
        command=[str(node.node()), str(node.PROVIDER)],
        environment=environment(
            PROVIDER_ISSUER=site.issuer,
            PROVIDER_PORT=str(site.port + 1),
            PROVIDER_CLIENT_ID="visa",
            PROVIDER_CLIENT_SECRET=site.secret("oauth_client"),
            PROVIDER_REDIRECT_URIS=f"{site.url}/hub/oauth_callback",
            PROVIDER_POST_LOGOUT_REDIRECT_URIS=f"{site.url}/hub/",
            PROVIDER_BACKCHANNEL_LOGOUT_URI=f"{site.url}/hub/backchannel_logout",
            PROVIDER_ADMIN_SOCKET=str(site.admin_socket),
            PROVIDER_ACCOUNTS=str(site.run / "accounts.json"),
            PROVIDER_FACILITY=FACILITY,
            PROVIDER_STATE=str(site.run / "provider.sqlite"),
        ),
        ready=answers(f"{site.issuer}/.well-known/openid-configuration"),
    )


def proxy(site: Site) -> Part:
    """The proxy is a process of its own, so that a hub's restart leaves every route up."""
    token = {"Authorization": f"token {site.secret('proxy')}"}

    return Part(
        name="proxy",
        command=[
            *node.proxy(),
            *("--ip", "127.0.0.1", "--port", str(site.port)),
            *("--api-ip", "127.0.0.1", "--api-port", str(site.proxy_api_port)),
            *("--error-target", f"http://127.0.0.1:{site.portal_port}/services/visa/proxy-error"),
            *("--client-ssl-ca", str(site.inside / "authority.pem")),
            "--host-routing",
        ],
        environment=environment(CONFIGPROXY_AUTH_TOKEN=site.secret("proxy")),
        ready=answers(f"http://127.0.0.1:{site.proxy_api_port}/api/routes", headers=token),
    )


def hub(site: Site) -> Part:
    """JupyterHub with the same configuration as anywhere, and the demo's site settings."""
    return Part(
        name="hub",
        command=[str(VENV_BIN / "jupyterhub"), "-f", str(ROOT / "jupyterhub_config.py")],
        environment=environment(
            **names(site),
            PYTHONPATH=str(ROOT),
            VISA_CONFIG_D=str(ROOT / "demo/jupyterhub_config.d"),
            JUPYTERHUB_CRYPT_KEY=site.secret("crypt_key"),
            CONFIGPROXY_AUTH_TOKEN=site.secret("proxy"),
            OAUTH_CLIENT_SECRET=site.secret("oauth_client"),
            VISA_PORTAL_TOKEN=site.secret("portal"),
            VISA_DEMO_TOKEN=site.secret("demo_service"),
            VISA_COOKIE_SECRET=site.secret("hub_cookies"),
        ),
        ready=answers(f"{site.url}/hub/health", wanted=range(200, 201)),
        grace=20,
    )


def portal(site: Site) -> Part:
    """The pages people see; says that it is unwell until the hub is there, which is no reason to wait."""
    return Part(
        name="portal",
        command=[str(VENV_BIN / "visa-portal")],
        environment=environment(
            **names(site),
            JUPYTERHUB_API_TOKEN=site.secret("portal"),
            JUPYTERHUB_API_URL=site.hub_api,
            JUPYTERHUB_SERVICE_URL=f"http://127.0.0.1:{site.portal_port}",
            JUPYTERHUB_PUBLIC_URL=site.portal_url,
            JUPYTERHUB_PUBLIC_HUB_URL=f"{site.url}/hub/",
            JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED="1",
        ),
        ready=answers(f"http://127.0.0.1:{site.portal_port}/services/visa/health", wanted=range(600)),
    )


def names(site: Site) -> dict[str, str]:
    """What hub and portal are told of the site, none of it secret."""
    return {
        "VISA_FACILITY": FACILITY,
        "VISA_CATALOGUE": f"file://{site.run}/experiments.jsonl",
        "VISA_URL": site.url,
        "VISA_PORTAL_ADDRESS": f"http://127.0.0.1:{site.portal_port}",
        "VISA_ISSUER": site.issuer,
        "VISA_HUB_ID": site.hub_id,
        "VISA_DEMO_PROFILES": str(machines.profiles(site)),
        machines.VARIABLE: "1" if machines.offered() else "0",
        "VISA_DEMO_PORT": str(site.port),
        "VISA_DEMO_RUN": str(site.run),
        "VISA_DEMO_DATA": str(site.data),
        "VISA_DEMO_HOMES": str(site.homes),
    }


def parts(site: Site) -> list[Part]:
    cluster = daemons.parts(computing.cluster(site), computing.members(site))
    virtual = [virtualization(site)] if machines.offered() else []
    return [engine(site), *virtual, *cluster, provider(site), proxy(site), portal(site), hub(site)]
