"""What the hub tells of what stands around it: portal, disks, the last backup."""

import asyncio
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client import REGISTRY
from traitlets.config import Config

from visa_spawner.inside.making import make
from visa_spawner.running.surroundings import Machine, look_at_portal
from visa_spawner.site import VisaSite


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def portal():
    """Answers 200 or 503 as it is told; gives its address and what it says."""
    says = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(says[0] if self.path == "/services/visa/health" else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", says
        server.shutdown()


async def test_a_portal_that_is_well_or_not_or_gone(portal):
    url, says = portal
    for status, well in ((200, 1), (503, 0), (200, 1)):
        says[0] = status
        await look_at_portal(url, "/services/visa/")
        assert value("visa_portal_answering", url=url) == well
    await look_at_portal("http://127.0.0.1:9", "/services/visa/")
    assert value("visa_portal_answering", url="http://127.0.0.1:9") == 0


def looked(**settings):
    machine = Machine(VisaSite(config=Config({"VisaSite": settings})), "http://localhost")
    machine.look()
    machine._thread.join(10)


def test_disks_once_each(tmp_path):
    (tmp_path / "below").mkdir()
    looked(disks=[str(tmp_path), str(tmp_path / "below"), "/nowhere"])
    assert 0 < value("visa_disk_free_ratio", place=str(tmp_path)) < 1
    assert value("visa_disk_free_ratio", place=str(tmp_path / "below")) is None
    assert value("visa_disk_free_ratio", place="/nowhere") is None


def test_the_last_backup(tmp_path):
    mark = tmp_path / "last"
    looked(backup_mark=str(mark))
    assert value("visa_backup_last_success_timestamp_seconds", mark=str(mark)) == 0
    mark.touch()
    os.utime(mark, (1000, 1000))
    looked(backup_mark=str(mark))
    assert value("visa_backup_last_success_timestamp_seconds", mark=str(mark)) == 1000


async def test_a_look_that_hangs_is_the_only_one(tmp_path, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(Machine, "_look_at_disks", lambda self: held.wait(10))
    machine = Machine(VisaSite(config=Config({"VisaSite": {"disks": [str(tmp_path)]}})), "http://localhost")
    machine.look()
    first = machine._thread
    machine.look()
    await asyncio.sleep(0)  # the hub's loop goes on meanwhile
    assert machine._thread is first
    held.set()
    first.join(10)


def test_the_certificates_inside(tmp_path):
    folder = tmp_path / "inside"
    make(folder, ["10.1.2.3"])
    looked(authority_dir=str(folder), disks=[])
    name = "visa_certificate_ends_timestamp_seconds"
    ends = {one: value(name, host=str(folder / one)) for one in ("authority.pem", "hub.pem")}
    days = {one: round((at - time.time()) / 86400) for one, at in ends.items()}
    assert days == {"authority.pem": 3650, "hub.pem": 1825}
    (folder / "hub.pem").unlink()
    looked(authority_dir=str(folder), disks=[])  # whoever answers in the hub's place has another's
