"""Brings a bare Debian machine to where the demo and the tests can run. Standard library only.

    python3 demo/machine.py demo|test

Debian packages, a virtual environment beside the repository, the node packages and noVNC: each step is
skipped in an instant when it has been done for the present state of the files it depends on. Python's and
node's packages need few of Debian's, so they come while the others are installed.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
#: What Debian's packages ask before they start a service.
POLICY = Path("/usr/sbin/policy-rc.d")
#: What pip needs of Debian's packages: the environment, and what packages are compiled with and against.
FIRST = re.compile(r"python3-venv|gcc|g\+\+|make|pkg-config|.+-dev")
#: What libvirt's package for Python is built against: where it is, the demo has virtual machines.
LIBVIRT = Path("/usr/include/libvirt/libvirt.h")
EXTRAS = {"demo": "hub,demo", "test": "hub,demo,session,test"}


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {words}", flush=True)


def run(command: list[str], **options) -> None:
    """Run a step; when it fails, print what it said and end."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        print("\n".join(done.stdout.splitlines()[-40:]))
        raise SystemExit(f"{' '.join(map(str, command[:4]))} ... failed with code {done.returncode}")


def fingerprint(*files: Path) -> str:
    digest = hashlib.sha256(sys.version.encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def lacking_packages(kind: str) -> list[str]:
    """Those listed in demo/packages.txt, and for tests in tests/packages.txt, that are not installed."""
    lists = [ROOT / "demo/packages.txt"] + ([ROOT / "tests/packages.txt"] if kind == "test" else [])
    names = [
        words[0]
        for path in lists
        for line in path.read_text().splitlines()
        if (words := line.split("#")[0].split())
    ]
    known = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names], capture_output=True, text=True
    ).stdout
    installed = {line.split()[0] for line in known.splitlines() if line.endswith(" installed")}
    missing = [name for name in names if name not in installed]
    if missing and os.geteuid():
        raise SystemExit("Debian packages are missing and only root can install them: " + " ".join(missing))
    return missing


def install(names: list[str]) -> None:
    """Install packages of Debian's."""
    if not names:
        return
    say("Debian packages: " + " ".join(names))
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    with no_services():
        run(["apt-get", "install", "-qy", "--no-install-recommends", *names], env=quiet)


@contextmanager
def no_services():
    """Keep services that are installed from being started by an init system: the demo runs its own.

    A policy that is there already is the machine owner's and stays.
    """
    if os.path.lexists(POLICY):
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def virtual_environment(kind: str) -> None:
    """Make .venv from Debian's Python with the pinned packages, and this project in place."""
    marker = VENV / f".visa-{kind}"
    extras = EXTRAS[kind] + (",vm" if LIBVIRT.exists() else "")
    state = fingerprint(ROOT / "setup.cfg", CONSTRAINTS) + str(LIBVIRT.exists())
    if marker.exists() and marker.read_text() == state:
        return
    say("Python packages")
    if not (VENV / "bin/python").exists():
        run(["/usr/bin/python3", "-m", "venv", str(VENV)])
    pip = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    run([*pip, "-c", str(CONSTRAINTS), "-e", f"{ROOT}[{extras}]"])
    marker.write_text(state)
    if kind == "test":
        (VENV / ".visa-demo").write_text(state)


def node_packages() -> None:
    """The proxy and the demo's identity provider, and noVNC for the desktop's page."""
    for module in ("demo.node", "visa_session.assets"):
        run([str(VENV / "bin/python"), "-m", module], cwd=ROOT)


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind not in EXTRAS:
        raise SystemExit(__doc__)
    missing = lacking_packages(kind)
    if missing:
        run(["apt-get", "update", "-q"])
    install([name for name in missing if FIRST.fullmatch(name)])
    with ThreadPoolExecutor(1) as beside:
        debian = beside.submit(install, [name for name in missing if not FIRST.fullmatch(name)])
        virtual_environment(kind)
        node_packages()
    debian.result()


if __name__ == "__main__":
    main()
