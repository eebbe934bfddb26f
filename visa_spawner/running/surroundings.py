"""What stands around the hub, looked at now and then for /hub/metrics: portal, disks, certificate, backup.

A site without any other exporter can raise its alarms by these. Nothing of the hub waits for a look.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from jupyterhub.app import JupyterHub
from jupyterhub.utils import url_path_join

from ..inside.authority import CERTIFICATE
from ..inside.making import HUB_CERTIFICATE
from ..site import VisaSite
from . import certificate, meters

log = logging.getLogger(__name__)

#: Seconds between two looks, for an answer, and between two looks at the certificate.
INTERVAL, PATIENCE, CERTIFICATE_INTERVAL = 30.0, 10.0, 3600.0


async def watch(site: VisaSite) -> None:
    """For as long as the hub runs."""
    app = JupyterHub.instance()
    while app.http_server is None:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    machine = Machine(site, app.subdomain_host or app.bind_url)
    while True:
        portal = app._service_map.get("visa")
        if portal is not None and portal.url:
            await look_at_portal(portal.url, portal.prefix)
        machine.look()
        await asyncio.sleep(INTERVAL)


async def look_at_portal(url: str, prefix: str) -> None:
    """Whether it says that it is well."""
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=PATIENCE), trust_env=False) as session,
            session.get(url_path_join(url, prefix, "health")) as answer,
        ):
            well = answer.status == 200
    except (ClientError, TimeoutError, OSError):
        well = False
    meters.PORTAL_ANSWERING.labels(url).set(well)


class Machine:
    """The hub's own machine; looked at in a thread, one at a time, since a disk that hangs never answers."""

    def __init__(self, site: VisaSite, url: str):
        self._disks, self._mark = [Path(path) for path in site.disks], site.backup_mark
        parts = urlsplit(url)
        self._shown = (parts.hostname, parts.port or 443) if parts.scheme == "https" else None
        inside = Path(site.authority_dir) if site.authority_dir else None
        self._inside = [inside / name for name in (CERTIFICATE, HUB_CERTIFICATE)] if inside else []
        self._certificate_due = 0.0
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Begin a look, unless the last one has not come to its end."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, daemon=True, name="surroundings")
            self._thread.start()

    def _look(self) -> None:
        try:
            self._look_at_disks()
            if self._mark:
                path = Path(self._mark)
                meters.BACKED_UP.labels(self._mark).set(path.stat().st_mtime if path.exists() else 0)
            self._look_inside()
            if self._shown and time.monotonic() >= self._certificate_due:
                self._look_at_certificate(*self._shown)
        except Exception:
            log.exception("Looking at what stands around the hub failed")

    def _look_at_disks(self) -> None:
        seen = set()
        for path in self._disks:
            if not path.exists() or (device := path.stat().st_dev) in seen:
                continue
            seen.add(device)
            room = os.statvfs(path)
            if room.f_blocks:
                meters.DISK_FREE.labels(str(path)).set(room.f_bavail / room.f_blocks)

    def _look_inside(self) -> None:
        for path in self._inside:
            # The hub's own is not there where whoever answers sessions in its place has another's.
            if path.exists():
                meters.CERTIFICATE_ENDS.labels(str(path)).set(certificate.read(path).ends.timestamp())

    def _look_at_certificate(self, host: str, port: int) -> None:
        try:
            found = certificate.served(host, port, PATIENCE)
        except OSError as error:
            log.warning("The site's certificate cannot be looked at: %s:%d: %s", host, port, error)
            return
        meters.CERTIFICATE_ENDS.labels(host).set(found.ends.timestamp())
        self._certificate_due = time.monotonic() + CERTIFICATE_INTERVAL
