"""Leaves the machine as it was: no session, no container, no mount."""

from __future__ import annotations

import asyncio
import subprocess

import httpx

from images.engine import podman_environment

from .site import Site


async def stop_sessions(site: Site) -> None:
    """Ask the hub to stop every session, so that its own book stays right; at most half a minute."""
    api = site.hub_api
    headers = {"Authorization": f"token {site.secret('demo_service')}"}
    async with httpx.AsyncClient(trust_env=False, timeout=15, base_url=api, headers=headers) as client:
        try:
            users = (await client.get("/users", params={"state": "active"})).raise_for_status().json()
            await asyncio.gather(
                *(
                    client.delete(f"/users/{user['name']}/servers/{name}")
                    for user in users
                    for name in user["servers"]
                )
            )
            for _ in range(60):
                users = (await client.get("/users", params={"state": "active"})).raise_for_status().json()
                if not any(user["servers"] for user in users):
                    return
                await asyncio.sleep(0.25)
        except httpx.HTTPError:
            return  # `remove_leftovers` comes after and needs no hub


def remove_leftovers(site: Site) -> None:
    """Remove the containers and mounts of this demo that nothing looks after any more."""
    podman = ["podman"]
    options = {"env": podman_environment(), "text": True}
    names = subprocess.run(
        [*podman, "ps", "-aq", "--filter", f"label=visa.hub={site.hub_id}"], capture_output=True, **options
    ).stdout.split()
    if names:
        subprocess.run([*podman, "rm", "-f", "-v", "-t", "2", *names], capture_output=True, **options)
    with open("/proc/self/mounts") as table:
        mounts = [line.split()[1] for line in table]
    for mount in sorted((place for place in mounts if place.startswith(f"{site.staging}/")), reverse=True):
        subprocess.run(["umount", "-l", mount], capture_output=True)
