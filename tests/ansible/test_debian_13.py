"""The same site on Debian 13, whose Python is another: packages come from the registries, in minutes.

For `make deployment-test`; `make test` leaves it out (conftest.py).
"""

from __future__ import annotations

from images import host

from . import facility, packages
from .machines import Machine
from .playbook import play, played

ADDRESS = "10.88.250.11"


def test_converges_and_comes_up(around, tmp_path):
    machine = Machine("visa-test-trixie", ADDRESS)
    authority = "/etc/visa-test-authorities.pem"
    options = ["-v", f"{host.ca_file()}:{authority}:ro", "-v", f"{packages.npm_cache()}:/npm"]
    for place in (facility.DATA, tmp_path, around["engine"].parent):
        options += ["-v", f"{place}:{place}"]
    settings = {f"PIP_{name.upper().replace('-', '_')}": value for name, value in host.pip_settings().items()}
    environment = settings | {"PIP_CERT": authority, "NPM_CONFIG_CACHE": "/npm", "NPM_CONFIG_OFFLINE": "true"}
    try:
        machine.start(options, "trixie")
        inventory = facility.write_inventory(
            tmp_path,
            machine,
            packages.now(tmp_path),
            around["engine"],
            around["port"],
            {"visa_environment": environment},
        )
        played(machine, inventory, "site.yml")
        again = play(machine, inventory, "site.yml")
        assert again.changed == {machine.name: 0}, again.changes
        asked = f"curl -s -o /dev/null -w '%{{http_code}}' http://{ADDRESS}:8081/hub/health"
        assert machine.said(asked) == "200"
    finally:
        machine.remove()
