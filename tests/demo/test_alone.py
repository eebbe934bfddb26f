"""Two demos never touch each other's: what is in the way is said before anything is made or removed."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from demo import __main__, alone, clean
from demo.site import Site

ROOT = Path(__file__).resolve().parents[2]


def site(run: Path, port: int = 0) -> Site:
    """A site on ports that nobody has."""
    while not port:
        candidate = 20000 + 20 * random.randrange(100)
        if all(map(alone._free, Site(port=candidate).ports)):
            port = candidate
    run.mkdir(exist_ok=True)
    return Site(port=port, run=run)


@pytest.fixture
def first(tmp_path) -> Site:
    return site(tmp_path / "first")


def test_a_second_demo_on_the_port_is_refused_before_anything_is_touched(first, tmp_path, monkeypatch):
    def touched(*_):
        raise AssertionError("this belongs to the demo that runs")

    monkeypatch.setenv("VISA_DEMO_PORT", str(first.port))
    monkeypatch.setenv("VISA_DEMO_RUN", str(tmp_path / "second"))
    monkeypatch.setattr(__main__, "prepare", touched)
    monkeypatch.setattr(clean, "remove", touched)
    with alone.held(first, 0):
        for main in (__main__.main, clean.main):
            with pytest.raises(SystemExit, match=rf"demo runs on port {first.port}: .* set VISA_DEMO_PORT"):
                main()
    with pytest.raises(AssertionError):
        __main__.main()


def test_a_second_demo_on_the_run_folder_is_refused(first):
    with alone.held(first, 0), pytest.raises(SystemExit, match=f"runs on {first.run}: .* set VISA_DEMO_RUN"):
        __main__.alone.held(site(first.run, first.port + 100), 0).__enter__()


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::"])
@pytest.mark.parametrize("which", [0, 4, 5, -1])
def test_a_port_that_something_else_has_is_named(first, address, which):
    port = first.ports[which]
    with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
        with pytest.raises(SystemExit, match=rf"Port {port} is taken.*set VISA_DEMO_PORT") as refused:
            alone.held(first, 0).__enter__()
    assert f"{first.port} to {first.port + 4} and {first.port + 10} to {first.port + 15}" in str(
        refused.value
    )
    with alone.held(first, 0):
        pass


STARTERS = {
    "tests": "from tests.e2e import site; site.remove_homes = lambda: None; site.start_site({run})",
    "bench": """
import asyncio
from bench import ours
ours.build_images, ours.write_profiles = (lambda names: 0), (lambda folder: None)
async def start():
    async with ours.demo({run}):
        pass
asyncio.run(start())
""",
}


@pytest.mark.parametrize("who", STARTERS)
def test_the_demo_of_a_run_that_is_killed_ends(who, tmp_path):
    """A stand-in for the demo says that it is there; its starter is killed."""
    stand_in = tmp_path / "python"
    stand_in.write_text("#!/bin/sh\necho started $$\nexec sleep 600\n")
    stand_in.chmod(0o755)
    script = f"import sys; from pathlib import Path; sys.executable = {str(stand_in)!r}\n"
    script += STARTERS[who].format(run=f"Path({str(tmp_path)!r})")
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    log = tmp_path / "demo.log"
    try:
        while not (log.exists() and log.read_text().startswith("started")):
            assert starter.poll() is None
            time.sleep(0.02)  # a moment for what starts
        demo = psutil.Process(int(log.read_text().split()[1]))
    finally:
        starter.kill()
        starter.wait()
    left = psutil.wait_procs([demo], 10)[1]
    for process in left:
        process.kill()
    assert not left
