"""Brings a bare Debian machine to where the demo and the tests can run. Standard library only.

    python3 demo/machine.py demo|test

Debian packages, a virtual environment beside the repository, the node packages and noVNC: each step is
skipped in an instant when it has been done for the present state of the files it depends on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
#: What Debian's packages ask before they start a service.
POLICY = Path("/usr/sbin/policy-rc.d")
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


def debian_packages(kind: str) -> None:
    """Install the packages listed in demo/packages.txt, and for tests in tests/packages.txt, that lack."""
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
    if not missing:
        return
    if os.geteuid():
        raise SystemExit("Debian packages are missing and only root can install them: " + " ".join(missing))
    say("Debian packages: " + " ".join(missing))
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], env=quiet)
    with no_services():
        run(
            ["apt-get", "install", "-qy", "--no-install-recommends", *missing], env={**quiet, "RUNLEVEL": "1"}
        )


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
    state = fingerprint(ROOT / "setup.cfg", CONSTRAINTS)
    if marker.exists() and marker.read_text() == state:
        return
    say("Python packages")
    if not (VENV / "bin/python").exists():
        run(["/usr/bin/python3", "-m", "venv", str(VENV)])
    pip = [str(VENV / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    run([*pip, "-c", str(CONSTRAINTS), "-e", f"{ROOT}[{EXTRAS[kind]}]"])
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
    debian_packages(kind)
    virtual_environment(kind)
    node_packages()


if __name__ == "__main__":
    main()
