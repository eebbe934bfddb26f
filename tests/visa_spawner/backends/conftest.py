import os
import shutil
import tempfile
from pathlib import Path

import engines
import pytest

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.backends.fleet import Fleet


def _folder(name):
    missing = engines.tools_missing()
    if missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"missing on this machine: {missing}")
        pytest.skip(f"missing on this machine: {missing}")
    # Short, since sockets stand in it, and not the test's own, since it lasts for the whole run.
    return Path(tempfile.mkdtemp(prefix=f"vc-{name}-"))


@pytest.fixture(scope="session")
def podman():
    folder = _folder("p")
    with engines.podman(folder) as engine:
        yield engine
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def docker_engine():
    folder = _folder("d")
    with engines.docker_engine(folder) as engine:
        yield engine
    shutil.rmtree(folder)


@pytest.fixture(params=["podman", "docker_engine"])
def engine(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def devices(tmp_path):
    """Made-up GPUs: character devices that behave like /dev/null."""
    paths = []
    for number in range(3):
        path = tmp_path / f"gpu{number}"
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 3))
        os.chmod(path, 0o666)
        paths.append(str(path))
    return paths


@pytest.fixture
async def make_backend(request):
    """Backends as VisaSpawner makes them, but for the user, whom the container backend never asks."""
    fleets, made = [], []

    def make(config, session=None, state=None):
        backend = ContainerBackend(config=config)
        backend.session = session
        fleet = Fleet.of(config)
        if fleet not in fleets:
            fleets.append(fleet)
        if state is not None:
            backend.load_state(state)
        made.append(backend)
        return backend

    yield make
    for fleet in fleets:
        await fleet.close()
    for name in ("podman", "docker_engine"):
        if name in request.fixturenames or name == getattr(
            getattr(request.node, "callspec", None), "params", {}
        ).get("engine"):
            engines.remove_all(request.getfixturevalue(name))
