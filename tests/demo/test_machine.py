"""In which order a bare machine is set up. What apt and pip do is made up: these tests change no machine."""

import threading

import pytest

from demo import machine


@pytest.fixture
def bare(monkeypatch):
    """A machine without these packages; what is done to it, in order."""
    did = []
    monkeypatch.setattr("sys.argv", ["machine.py", "demo"])
    monkeypatch.setattr(
        machine, "lacking_packages", lambda kind: ["podman", "python3-venv", "libsomething-dev"]
    )
    monkeypatch.setattr(machine, "run", lambda command, **_: did.append(command[1]))
    monkeypatch.setattr(machine, "install", lambda names: did.append(names))
    monkeypatch.setattr(machine, "virtual_environment", lambda kind: did.append("pip"))
    monkeypatch.setattr(machine, "node_packages", lambda: did.append("npm"))
    return did


def test_what_pip_needs_is_there_before_it(bare):
    machine.main()
    assert bare[:2] == ["update", ["python3-venv", "libsomething-dev"]]
    assert bare.index("pip") < bare.index("npm") and ["podman"] in bare and len(bare) == 5


def test_the_other_packages_are_installed_meanwhile(bare, monkeypatch):
    pip = threading.Event()
    monkeypatch.setattr(machine, "virtual_environment", lambda kind: pip.set())
    monkeypatch.setattr(machine, "install", lambda names: names != ["podman"] or bare.append(pip.wait(10)))
    machine.main()
    assert bare[-2:] == [True, "npm"] or bare[-2:] == ["npm", True]


def test_a_package_that_fails_fails_all(bare, monkeypatch):
    def refused(names):
        if "podman" in names:
            raise SystemExit("apt-get install failed")

    monkeypatch.setattr(machine, "install", refused)
    with pytest.raises(SystemExit, match="apt-get"):
        machine.main()
