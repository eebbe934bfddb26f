import os
import shutil
import tempfile
from pathlib import Path

import pytest
from doctor_site import Doctor, DoctorSite, engines


@pytest.fixture(scope="session")
def site():
    """One site for all tests, each of which leaves it as it was."""
    missing = engines.tools_missing()
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing on this machine: {missing}")
        pytest.skip(f"missing on this machine: {missing}")  # a developer's; in CI it fails above
    # Short, since sockets stand in it; not below /tmp, where everybody may write above what is bound.
    sockets = Path(tempfile.mkdtemp(prefix="vd-"))
    folder = Path(tempfile.mkdtemp(prefix="visa-doctor-", dir="/var/lib"))
    folder.chmod(0o755)
    with engines.podman(sockets) as engine:
        made = DoctorSite(folder, engine)
        try:
            made.start()
            yield made
        finally:
            made.close()
    shutil.rmtree(folder)
    shutil.rmtree(sockets)


@pytest.fixture
def doctor(site, monkeypatch):
    """A doctor of the site, whose settings a test may change."""
    folder = Path(tempfile.mkdtemp(prefix="visa-doctor-settings-", dir="/var/lib"))
    yield Doctor(site, monkeypatch, folder)
    shutil.rmtree(folder)
