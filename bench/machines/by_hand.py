"""The same disk, booted by hand to the same server: QEMU as the demo's libvirt would start it, and its agent.

No hub, no libvirt, no data: a document that names an account and a token is given to the session that waits
in the machine, and the clock stops when the server of that session answers.
"""

from __future__ import annotations

import http.client
import json
import secrets
import tempfile
import time
from pathlib import Path

from tests.images.guest import Guest
from visa_session import door
from visa_session.contract import INFO_VARIABLE, SESSION_PORT, SessionInfo
from visa_spawner.backends.files import archive
from visa_spawner.backends.vm.libvirt import line
from visa_spawner.backends.vm.libvirt.agent import PROGRAM
from visa_spawner.backends.warm.handover import document
from visa_spawner.session import Person

from ..hub import BenchFailed
from .host import BY_HAND, GATEWAY, MEMORY, PERSON, UID, Host

#: Seconds that it may take altogether, and between two looks.
PATIENCE, LOOK = 400, 0.2
PREFIX = f"/user/{PERSON}/bare/"
#: In the machine itself, made by hand as well.
HOME = f"/home/{PERSON}"


def start(host: Host) -> tuple[float, float]:
    """Seconds from starting QEMU to the server's first answer, and QEMU's seconds of CPU; it is gone then."""
    line.connect(GATEWAY, BY_HAND)
    device = line.device_of(BY_HAND)
    try:
        with tempfile.TemporaryDirectory(dir=host.folder) as folder:
            began = time.monotonic()
            network = f"tap,ifname={device},script=no,downscript=no"
            guest = Guest(host.image, Path(folder), memory=MEMORY, network=network)
            try:
                _until_it_answers(guest, began + PATIENCE)
                return time.monotonic() - began, cpu_of(guest.process.pid)
            except (AssertionError, OSError, ValueError) as error:
                raise BenchFailed(f"the machine that was started by hand: {error}") from error
            finally:
                guest.stop()
    finally:
        line.disconnect(BY_HAND)


def _until_it_answers(guest: Guest, end: float) -> None:
    guest.until_up(end - time.monotonic())
    while guest.run("/usr/bin/test", "-S", door.PATH)[0]:
        if time.monotonic() > end:
            raise ValueError("no session waits in it")
        time.sleep(LOOK)
    guest.run("/usr/bin/install", "-d", "-m", "700", "-o", str(UID), "-g", str(UID), HOME)
    code, said = guest.run(PROGRAM, "--hand-over", given=_document(), seconds=PATIENCE)
    if code:
        raise ValueError(f"it did not become a session: {said[-500:]}")
    while not _answers():
        if time.monotonic() > end:
            raise ValueError("its server does not answer")
        time.sleep(LOOK)


def _answers() -> bool:
    try:
        connection = http.client.HTTPConnection(BY_HAND, SESSION_PORT, timeout=30)
        connection.request("GET", f"{PREFIX}lab")
        return connection.getresponse().status < 500
    except OSError:
        return False


def _document() -> bytes:
    """Whose it is, and what a hub would tell it; there is no hub."""
    environment = {
        "JUPYTERHUB_API_TOKEN": secrets.token_hex(16),
        "JUPYTERHUB_API_URL": f"http://{GATEWAY}:9/hub/api",
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{PERSON}-bare",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_USER": PERSON,
        "JUPYTERHUB_SERVER_NAME": "bare",
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:{SESSION_PORT}{PREFIX}",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!server={PERSON}/bare"]',
        "HOME": HOME,
        "USER": PERSON,
        "LOGNAME": PERSON,
        INFO_VARIABLE: SessionInfo(owner=PERSON, name="bare").to_json(),
    }
    person = Person(PERSON, UID, UID, (), HOME)
    session = document(person, environment, archive(person, {}), "bare")
    network = {"address": f"{BY_HAND}/32", "gateway": GATEWAY, "dns": []}
    return json.dumps({"network": network, "mounts": [], "session": session}).encode()


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, its threads included."""
    # The clock of another process, as clock_getcpuclockid(3) makes its number.
    return time.clock_gettime((~pid << 3) | 2)
