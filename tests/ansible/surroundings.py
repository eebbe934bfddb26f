"""What is around a facility's bare machines: a network with a DNS of its own, file systems, packages.

The commands of docs/operators/install.md are typed there. What is different from a facility: the machines are
containers, which may mount; the hub has the wheels that it would fetch; its certificate is of an authority
that its machine believes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from . import facility, packages
from .conftest import free_port
from .instructions import Instructions
from .machines import Machine, podman
from .operator import PASSWORD, Operator
from .playbook import Played
from .site import Site

HOST = facility.URL.removeprefix("https://")
PORTAL = f"https://visa--service.{HOST}/services/visa/"
#: "Ports, for your packet filter": what is not named there is refused, beside the operator's ssh.
ANSWERS = "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m state --state ESTABLISHED -j ACCEPT"
ANSWERS += "; iptables -A INPUT -p tcp --dport 22 -j ACCEPT"


def an_operator(folder: Path, ours: str, own: dict[str, str] | None = None) -> Operator:
    """Somebody with the page in hand and the words of their facility, whose addresses begin with `ours`."""
    port = free_port()
    words = {"10.1.2.": ours, "visa.example.org": HOST} | (own or {})
    words["https://login.example.org/realms/users"] = f"http://login.localhost:{port}"
    operator = Operator(folder, Instructions(words), port)
    operator.clone()
    return operator


@contextmanager
def data(place: Path) -> Iterator[Path]:
    """The facility's file systems."""
    facility.make_data(place)
    yield place
    shutil.rmtree(place)


@contextmanager
def network(name: str, subnet: str) -> Iterator[str]:
    podman("network", "rm", "--force", name, check=False)
    podman("network", "create", "--subnet", subnet, "--disable-dns", name)
    yield name
    podman("network", "rm", "--force", name, check=False)


@contextmanager
def names(network: str, address: str, hub: str, debs: str = "debs-hub") -> Iterator[Machine]:
    """The facility's DNS: the site's name, and all below it."""
    machine = Machine("visa-test-names", address, network=network)
    try:
        machine.start(["-v", f"{packages.debs(debs)}:/var/cache/apt/archives"])
        machine.install("dnsmasq-base")
        machine.run(f"systemd-run --quiet dnsmasq --keep-in-foreground --no-hosts --address=/{HOST}/{hub}")
        yield machine
    finally:
        machine.remove()


def has_data(data: Path, names: Machine) -> list[str]:
    """Options of a machine that has the file systems, and asks the DNS."""
    return ["--dns", names.address, "-v", f"{data}/home:/home", "-v", f"{data}/visitor:/data/visitor"]


def is_hub(operator: Operator, debs: str = "debs-hub") -> list[str]:
    """Options of the hub's machine: its people's provider, and packages."""
    wheels = packages.wheels(packages.before(operator.folder), packages.now(operator.folder))
    options = ["--add-host", "login.localhost:127.0.0.1", "-v", f"{wheels}:/wheels:ro"]
    kept = f"{packages.debs(debs)}:/var/cache/apt/archives"
    return [*options, "-v", f"{packages.npm_cache()}:/npm", "-v", kept]


def certificate(operator: Operator, hub: Machine) -> None:
    """What a facility's own authority gives for the site, and which the hub's machine believes."""
    place, inventory = operator.folder, operator.inventory
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for words in (
        ["req", "-x509", *new, "-subj", "/CN=Example", "-keyout", "own.key", "-out", "own.pem"],
        ["req", *new, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:*.{HOST}"]
        + ["-keyout", inventory / "visa.key", "-out", "site.csr"],
        ["x509", "-req", "-in", "site.csr", "-CA", "own.pem", "-CAkey", "own.key", "-CAcreateserial"]
        + ["-copy_extensions", "copy", "-days", "90", "-out", inventory / "visa.pem"],
    ):
        subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)
    hub.install("ca-certificates")
    podman("cp", str(place / "own.pem"), f"{hub.name}:/usr/local/share/ca-certificates/own.crt")
    hub.run("update-ca-certificates")


def clone(operator: Operator) -> None:
    """Section 1 of the page, whose first command `operator` has done in another way."""
    clone, made = operator.told.commands[0].split("\n", 1)
    assert clone == "git clone <this repository> visa && cd visa"
    assert operator.types(made).code == 0


def mirrors(operator: Operator, wheels: str = "/wheels") -> None:
    """Folders in place of what is fetched."""
    own = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels}
    own |= {"NPM_CONFIG_CACHE": "/npm", "NPM_CONFIG_OFFLINE": "true"}
    here = operator.inventory / "group_vars/visa/mirrors.yml"
    here.write_text(yaml.safe_dump({"visa_environment": own}))


def secrets(operator: Operator) -> None:
    """The end of section 2."""
    typed = operator.types(operator.told.commands[2], answers=f"{PASSWORD}\n{PASSWORD}\n")
    assert typed.code == 0, typed.said
    assert (operator.inventory / "group_vars/visa/vault.yml").read_text().startswith("$ANSIBLE_VAULT")


def play(operator: Operator, command: str) -> Played:
    """A command of section 3, or one like it."""
    activated = f". ../.venv-ansible/bin/activate\n{command}"
    return operator.types(activated, "ansible", f"{PASSWORD}\n")


def without_node(operator: Operator, groups: dict[str, dict]) -> None:
    """The page's hosts.yml without its node, and with other groups in it."""
    hosts = operator.inventory / "hosts.yml"
    site = yaml.safe_load(hosts.read_text())
    site["all"]["children"]["visa"]["children"] |= {"nodes": None, **groups}
    hosts.write_text(yaml.safe_dump(site))


@contextmanager
def served(operator: Operator, hub: Machine, filters: list[tuple[Machine, str]]) -> Iterator[Site]:
    """The deployed site, and its people's provider; packet filters let through what the pages say."""
    for machine, rules in filters:
        machine.install("iptables")
        machine.run(rules)
    # What a client of ours is to believe.
    shutil.copy(
        operator.folder / "own.pem", operator.tree / "ansible/inventories" / f"{hub.name}-authority.pem"
    )
    provider = facility.start_provider(operator.folder, operator.port, Path("/home"))
    site = Site(hub, operator.inventory, operator.tree, [], operator.port)
    site.connect()
    yield site
    site.disconnect()
    provider.terminate()
    provider.wait(20)
