"""The same site on Debian 13, whose Python is another: packages come from the registries, in minutes.

For `make deployment-test`; `make test` leaves it out (conftest.py).
"""

from __future__ import annotations

import pytest

from images import host

from . import facility, packages
from .machines import Machine
from .playbook import ROOT, play, played
from .site import Site

ADDRESS = "10.88.250.11"
pytestmark = pytest.mark.timeout(1500)


def test_converges_and_has_sessions(around, tmp_path):
    # The test environment's Ansible is for another Python than this machine's.
    machine = Machine("visa-test-trixie", ADDRESS, "/usr/bin/ansible-playbook")
    authority = "/etc/visa-test-authorities.pem"
    options = ["--add-host", "login.localhost:127.0.0.1", "--add-host", "visa.test:127.0.0.1"]
    options += ["-v", f"{host.ca_file()}:{authority}:ro", "-v", f"{packages.npm_cache()}:/npm"]
    options += ["-v", f"{packages.debs()}:/var/cache/apt/archives", "-v", f"{ROOT}:{ROOT}:ro"]
    for place in (facility.DATA, tmp_path, around["folder"]):
        options += ["-v", f"{place}:{place}"]
    settings = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in host.pip_settings().items()}
    environment = settings | {"PIP_CERT": authority, "NPM_CONFIG_CACHE": "/npm", "NPM_CONFIG_OFFLINE": "true"}
    environment |= facility.engine_environment(around["engine"])
    now = packages.now(tmp_path)
    site = Site(machine, tmp_path / "inventory", now, options, around["port"])
    try:
        machine.start([*options, "--security-opt", "unmask=/proc/sys"], "trixie")
        site.connect()
        machine.install("ansible-core", "python3-cryptography")
        extra = {"visa_environment": environment}
        facility.write_inventory(tmp_path, machine, now, around["engine"], around["port"], extra)
        played(machine, site.inventory, "site.yml")
        again = play(machine, site.inventory, "site.yml")
        assert again.changed == {machine.name: 0}, again.changes
        site.log_in("alice")
        token = site.token("alice")
        asked = {"profile": "general", "plan": "medium", "experiments": [facility.EXPERIMENT]}
        started = site.call("POST", "users/alice/servers/tooth", token, json={"user_options": asked})
        assert started.status_code in (201, 202), started.text
        site.until_running(token, "tooth")
        assert site.answers(token, "alice", "tooth") == 200
    finally:
        site.disconnect()
        facility.remove_sessions()
        machine.remove()
