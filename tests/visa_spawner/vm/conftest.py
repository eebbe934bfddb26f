import os
import shutil
import tempfile
from pathlib import Path

import memory_provider
import pytest
from libvirt_machines import a_provider
from vm_hub import Hub

from demo import libvirt as daemon


@pytest.fixture(scope="session")
def libvirt_here():
    """Libvirt on this machine: the daemon's processes, for tests that stop it, and its folder."""
    if lacking := daemon.missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing on this machine: {lacking}")
        pytest.skip(f"missing on this machine: {lacking}")  # a developer's; where CI is true it fails above
    folder, processes = Path(tempfile.mkdtemp(prefix="vl-")), []
    if not daemon.answers():
        daemon.start(folder, processes)
    yield folder, processes
    daemon.stop(processes)
    shutil.rmtree(folder)


@pytest.fixture
async def provider(libvirt_here):
    """Machines of this libvirt that boot nothing; none is left."""
    async with a_provider() as made:
        yield made


@pytest.fixture
def world(monkeypatch):
    made = memory_provider.World()
    monkeypatch.setattr(memory_provider, "world", made)
    return made


@pytest.fixture
async def hub(world):
    made = Hub(world)
    await made.machines.watch.asked_once()
    yield made
    await made.machines.close()
