"""From two bare Debian machines to the first desktop, by docs/operators/install.md alone.

The commands and the files are the page's own, with other addresses, names and sizes. What is different from a
facility: the machines are containers, which may mount; the node has the image already that it would build,
the hub the wheels that it would fetch; the certificate is of an authority that the hub's machine believes; a
machine beside them knows the names. For `make deployment-test`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.chromium import PAINTED, RESULTS

from . import engine_inside, facility, packages
from .browser import browser, log_in
from .conftest import free_port
from .instructions import Instructions
from .machines import Machine, podman
from .operator import PASSWORD, Operator
from .playbook import Played
from .site import Site
from .test_one_machine_doctor import by_itself, look

pytestmark = pytest.mark.timeout(2400)

NETWORK, SUBNET = "visa-test-two", "10.250.7.0/24"
HUB, NODE, NAMES = "10.250.7.2", "10.250.7.11", "10.250.7.3"
HOST = facility.URL.removeprefix("https://")


#: "Ports, for your packet filter": these and no others, beside the operator's ssh.
ANSWERS = "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -m state --state ESTABLISHED -j ACCEPT"
ANSWERS += "; iptables -A INPUT -p tcp --dport 22 -j ACCEPT"
FILTER_OF_HUB = f"""{ANSWERS}
iptables -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
iptables -A INPUT -p tcp -s {NODE} --dport 8443 -j ACCEPT
iptables -A INPUT -j DROP
"""
FILTER_OF_NODE = f"""{ANSWERS}
iptables -A INPUT -p tcp -s {HUB} --dport 2376 -j ACCEPT
iptables -A INPUT -j DROP
iptables -I FORWARD -i eth0 -m state --state NEW ! -s {HUB} -j DROP
iptables -I FORWARD -d {HUB} -p tcp -m state --state NEW ! --dport 8443 -j DROP
"""


@pytest.fixture(scope="module")
def operator(tmp_path_factory) -> Operator:
    """Somebody with the page in hand, and the words of their own facility."""
    port = free_port()
    told = Instructions(
        {
            "10.1.2.": "10.250.7.",
            "visa.example.org": HOST,
            "https://login.example.org/realms/users": f"http://login.localhost:{port}",
            "cpus: 28": "cpus: 4",
            "memory: 120G": "memory: 6G",
        }
    )
    operator = Operator(tmp_path_factory.mktemp("two"), told, port)
    operator.clone()
    return operator


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    """The facility's file systems."""
    place = Path("/data/visa-test-two")
    facility.make_data(place)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    podman("network", "rm", "--force", NETWORK, check=False)
    podman("network", "create", "--subnet", SUBNET, "--disable-dns", NETWORK)
    yield NETWORK
    podman("network", "rm", "--force", NETWORK, check=False)


@pytest.fixture(scope="module")
def names(network) -> Iterator[Machine]:
    """The facility's DNS: the site's name, and all below it."""
    machine = Machine("visa-test-names", NAMES, network=network)
    try:
        machine.start(["-v", f"{packages.debs('debs-hub')}:/var/cache/apt/archives"])
        machine.install("dnsmasq-base")
        machine.run(f"systemd-run --quiet dnsmasq --keep-in-foreground --no-hosts --address=/{HOST}/{HUB}")
        yield machine
    finally:
        machine.remove()


@pytest.fixture(scope="module")
def bare(names: Machine, operator: Operator, data: Path) -> Iterator[tuple[Machine, Machine]]:
    """Hub and node, as an installer leaves them: reached by ssh, with the facility's file systems."""
    hub = Machine("visa-test-hub", HUB, network=names.network)
    node = Machine("visa-test-node", NODE, network=names.network)
    both = [*engine_inside.may_mount(), "--dns", NAMES]
    both += ["-v", f"{data}/home:/home", "-v", f"{data}/visitor:/data/visitor"]
    wheels = packages.wheels(packages.before(operator.folder), packages.now(operator.folder))
    options = ["--add-host", "login.localhost:127.0.0.1", "-v", f"{wheels}:/wheels:ro"]
    options += [
        "-v",
        f"{packages.npm_cache()}:/npm",
        "-v",
        f"{packages.debs('debs-hub')}:/var/cache/apt/archives",
    ]
    other = ["-v", f"{packages.debs('debs-node')}:/var/cache/apt/archives", *engine_inside.has_engine()]
    try:
        hub.start([*both, *options])
        node.start([*both, *other])
        engine_inside.prepare(node)
        for machine in (hub, node):
            operator.is_let_in(machine)
        yield hub, node
    finally:
        node.run("podman rm --all --force --time 0", check=False)
        for machine in (hub, node):
            machine.remove()


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


@pytest.fixture(scope="module")
def walk(bare, operator: Operator) -> dict[str, Played]:
    """The page from its first command to the second run of site.yml: what each playbook said."""
    first, profiles, secrets, playbooks = operator.told.commands
    clone, made = first.split("\n", 1)
    assert clone == "git clone <this repository> visa && cd visa"  # which `operator` has done
    assert operator.types(made).code == 0
    operator.told.write(operator.tree)
    certificate(operator, bare[0])
    mirrors = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    mirrors |= {"NPM_CONFIG_CACHE": "/npm", "NPM_CONFIG_OFFLINE": "true"}
    here = operator.inventory / "group_vars/visa/mirrors.yml"
    here.write_text(yaml.safe_dump({"visa_environment": mirrors}))
    typed = operator.types(profiles)
    assert typed.code == 0, typed.said
    typed = operator.types(secrets, answers=f"{PASSWORD}\n{PASSWORD}\n")
    assert typed.code == 0, typed.said
    assert (operator.inventory / "group_vars/visa/vault.yml").read_text().startswith("$ANSIBLE_VAULT")
    look_at, do = playbooks.splitlines()
    before = [picture(machine) for machine in bare]
    runs = {"looked": play(operator, look_at)}
    assert [picture(machine) for machine in bare] == before
    runs["first"] = play(operator, do)
    runs["again"] = play(operator, do)
    return runs


def play(operator: Operator, command: str) -> Played:
    activated = f". ../.venv-ansible/bin/activate\n{command}"
    return operator.types(activated, "ansible", f"{PASSWORD}\n")


def picture(machine: Machine) -> str:
    """What a run that only looks must leave as it is."""
    return machine.said("dpkg -l; find /etc /opt /usr/local /var/lib/visa* -newer /root/.ssh -type f | sort")


@pytest.fixture(scope="module")
def site(bare, walk, operator: Operator) -> Iterator[Site]:
    """The deployed site, and its people's provider; a packet filter lets through what the page says."""
    hub, node = bare
    assert walk["first"].code == 0, walk["first"].said[-6000:]
    hub.install("iptables")
    hub.run(FILTER_OF_HUB)
    node.run(FILTER_OF_NODE)
    provider = facility.start_provider(operator.folder, operator.port, Path("/home"))
    site = Site(hub, operator.inventory, operator.tree, [], operator.port)
    site.connect()
    yield site
    site.disconnect()
    provider.terminate()
    provider.wait(20)


def test_looking_at_bare_machines_fails_nowhere(walk, bare):
    looked = walk["looked"]
    assert looked.code == 0, looked.said[-4000:]
    assert all(looked.changed[name] > 0 for name in ("hub1", "node1"))


def test_a_second_run_changes_nothing(walk):
    first, again = walk["first"], walk["again"]
    assert first.code == 0, first.said[-6000:]
    assert again.code == 0 and again.changed == {"hub1": 0, "node1": 0}, again.changes


def test_the_first_login_and_a_desktop_on_the_node(site: Site, bare, playwright):
    """Section 4, in Chromium: what a session is made of is on the node, and held by its kernel."""
    _, node = bare
    with browser(playwright, site.machine) as page:
        log_in(page, "alice")
        page.get_by_role("link", name="New session").first.click()
        page.locator("label.row").first.click()
        page.locator("#start").click()
        page.wait_for_url(f"https://alice.{HOST}/**/desktop/**", timeout=120_000)
        page.wait_for_function(PAINTED, timeout=60_000)
        RESULTS.mkdir(exist_ok=True)
        page.screenshot(path=RESULTS / "two-machines-desktop.png")
    named = "label=visa.session"
    (name,) = node.said(f"podman ps --filter {named} --format '{{{{.Names}}}}'").split()
    assert "visa-alice-" in name
    assert node.said(f"podman port {name}").startswith(f"8888/tcp -> {NODE}:")
    inside = f"podman exec {name}"
    assert node.said(f"{inside} cat /data/visitor/raw/scan.txt") == "raw data"
    refused = node.run(f"{inside} touch /data/visitor/raw/new", check=False)
    assert "Read-only file system" in refused.stderr
    node.run(f"{inside} sh -c 'touch /data/visitor/processed/new ~/new'")
    token = "token $(. /etc/visa/proxy.env; echo $CONFIGPROXY_AUTH_TOKEN)"
    ways = site.machine.said(f'curl -s -H "Authorization: {token}" http://127.0.0.1:8001/api/routes')
    assert f'"https://{NODE}:' in ways and f'"http://{NODE}:' not in ways
    # Of the network that the inventory gives sessions, and of no other.
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    assert node.said(f"podman inspect --format '{address}' {name}").startswith("10.214.0.")


def test_the_doctor_finds_nothing_wrong(site: Site):
    """On the hub's machine, with a session on the node; a warning is named that is the containers' own."""
    found = look(site)
    assert (found.code, found.under("WRONG"), found.under("COULD NOT BE CHECKED")) == (0, {}, {}), found.said
    assert set(found.under("WARNING")) <= by_itself(), found.said


@pytest.mark.parametrize(
    ("tag", "told", "said"),
    [
        (
            "gpu_node",
            '{"visa_data_mounts": ["/data", "/nowhere"]}',
            "/nowhere of visa_data_mounts is not there on node1",
        ),
        (
            "hub",
            "visa_secret_oauth_client=short",
            "visa_secret_oauth_client is not set, or has fewer than 16",
        ),
    ],
)
def test_what_is_missing_is_said_by_its_name(site: Site, operator: Operator, tag, told, said):
    look_at = operator.told.commands[3].splitlines()[0]
    refused = play(operator, f"{look_at} --tags {tag} -e '{told}'")
    assert refused.code != 0 and said in refused.said, refused.said[-2000:]


def test_the_doctor_says_which_node_is_gone(site: Site, bare):
    """The last of these: the machine is switched off, and nothing else is said to be wrong."""
    _, node = bare
    node.stop()
    found = look(site)
    assert set(found.under("WRONG")) == {"engines, node1"}, found.said
    said = found.under("WRONG")["engines, node1"]
    assert f"tcp://{NODE}:2376" in said and "(hence also: clock, images)" in said
    assert "sessions there are shown as unknown and run on" in said
    assert f"See whether {NODE} is up, and lets this machine through its packet filter" in said
