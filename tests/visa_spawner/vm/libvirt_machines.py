"""Machines that boot nothing, of a provider on this machine's libvirt."""

import os
import subprocess
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from traitlets.config import Config

from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.backends.vm.provider import Order
from visa_spawner.session import Image

IMAGE = Image("empty")
ORDER = Order("visa-test-one", {"session": "alice/tooth", "made": "1"}, IMAGE, 1, 64 << 20, 0)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def virsh(*words):
    return run("virsh", "-q", "-c", "qemu:///system", *words)


@asynccontextmanager
async def a_provider():
    """Nothing of its machines is left."""
    with tempfile.TemporaryDirectory(prefix="vm-", dir="/var/lib") as name:
        folder = Path(name)
        folder.chmod(0o711)
        run("qemu-img", "create", "-q", "-f", "qcow2", str(folder / "empty.qcow2"), "1M")
        settings = {
            "folder": f"{folder}/machines",
            "image_template": f"{folder}/{{recipe}}.qcow2",
            "network": "10.216.0.0/29",
            "virtualization": "qemu",
        }
        made = LibvirtProvider("vm-test", config=Config({"LibvirtProvider": settings}))
        yield made
        for machine in await made.list():
            await made.delete(machine.name)
        made.close()


def left(provider):
    return sorted(os.listdir(provider.folder)) if os.path.isdir(provider.folder) else []


def to_be_stopped(libvirt_here):
    """The folder and processes of a libvirt that the tests have started themselves.

    Another one may have machines of a developer's, and such a test is left out there; in CI it fails.
    """
    folder, processes = libvirt_here
    if not processes:
        assert os.environ.get("CI") != "true", "libvirt was running before the tests"
        pytest.skip("a libvirt that was there before is not ours to stop")  # in CI it fails above
    return folder, processes
