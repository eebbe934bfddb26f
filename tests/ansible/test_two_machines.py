"""From two bare Debian machines to the first desktop, by docs/operators/install.md alone.

The commands and the files are the page's own, with other addresses, names and sizes. What is different from a
facility stands in surroundings.py; the node has the image already that it would build. For `make
deployment-test`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.chromium import PAINTED, RESULTS

from . import engine_inside, packages, surroundings
from .browser import browser, log_in
from .machines import Machine
from .operator import Operator
from .playbook import Played
from .site import Site
from .surroundings import ANSWERS, HOST, play
from .test_one_machine_doctor import by_itself, look
from .unheard import starts_in_vain

pytestmark = pytest.mark.timeout(2400)

NETWORK, SUBNET = "visa-test-two", "10.250.7.0/24"
HUB, NODE, NAMES = "10.250.7.2", "10.250.7.11", "10.250.7.3"

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
    sizes = {"cpus: 28": "cpus: 4", "memory: 120G": "memory: 6G"}
    return surroundings.an_operator(tmp_path_factory.mktemp("two"), "10.250.7.", sizes)


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with surroundings.data(Path("/data/visa-test-two")) as place:
        yield place


@pytest.fixture(scope="module")
def names() -> Iterator[Machine]:
    with surroundings.network(NETWORK, SUBNET) as network, surroundings.names(network, NAMES, HUB) as machine:
        yield machine


@pytest.fixture(scope="module")
def bare(names: Machine, operator: Operator, data: Path) -> Iterator[tuple[Machine, Machine]]:
    """Hub and node, as an installer leaves them: reached by ssh, with the facility's file systems."""
    hub = Machine("visa-test-hub", HUB, network=names.network)
    node = Machine("visa-test-node", NODE, network=names.network)
    both = [*engine_inside.may_mount(), *surroundings.has_data(data, names)]
    options = surroundings.is_hub(operator)
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


@pytest.fixture(scope="module")
def walk(bare, operator: Operator) -> dict[str, Played]:
    """The page from its first command to the second run of site.yml: what each playbook said."""
    _, profiles, _, playbooks = operator.told.commands
    surroundings.clone(operator)
    operator.told.write(operator.tree)
    surroundings.certificate(operator, bare[0])
    surroundings.mirrors(operator)
    typed = operator.types(profiles)
    assert typed.code == 0, typed.said
    surroundings.secrets(operator)
    look_at, do = playbooks.splitlines()
    before = [picture(machine) for machine in bare]
    runs = {"looked": play(operator, look_at)}
    assert [picture(machine) for machine in bare] == before
    runs["first"] = play(operator, do)
    runs["again"] = play(operator, do)
    return runs


def picture(machine: Machine) -> str:
    """What a run that only looks must leave as it is."""
    return machine.said("dpkg -l; find /etc /opt /usr/local /var/lib/visa* -newer /root/.ssh -type f | sort")


@pytest.fixture(scope="module")
def site(bare, walk, operator: Operator) -> Iterator[Site]:
    """The deployed site, and its people's provider; a packet filter lets through what the page says."""
    hub, node = bare
    assert walk["first"].code == 0, walk["first"].said[-6000:]
    with surroundings.served(operator, hub, [(hub, FILTER_OF_HUB), (node, FILTER_OF_NODE)]) as site:
        yield site


def test_looking_at_bare_machines_fails_nowhere(walk, bare):
    looked = walk["looked"]
    assert looked.code == 0, looked.said[-4000:]
    assert all(looked.changed[name] > 0 for name in ("hub1", "node1"))


def test_a_second_run_changes_nothing(walk):
    first, again = walk["first"], walk["again"]
    assert first.code == 0, first.said[-6000:]
    assert again.code == 0 and again.changed == {"hub1": 0, "node1": 0}, again.changes


def chooses(page: Page) -> None:
    """Alice logs in, and is about to start a session on her experiment."""
    log_in(page, "alice")
    page.get_by_role("link", name="New session").first.click()
    page.locator("label.row").first.click()


def test_the_first_login_and_a_desktop_on_the_node(site: Site, bare, playwright):
    """Section 4, in Chromium: what a session is made of is on the node, and held by its kernel."""
    _, node = bare
    with browser(playwright, site.machine) as page:
        chooses(page)
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


def test_a_node_that_does_not_reach_the_hub_is_said(site: Site, bare, playwright):
    """And no container is left of the start."""
    _, node = bare
    with browser(playwright, site.machine) as page:
        chooses(page)
        page.locator("label.plan", has_text="2 cores").click()
        starts_in_vain(site, page, "node1", NODE)
    node.until("test $(podman ps --filter label=visa.session --format x | wc -l) = 1", 30)


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
