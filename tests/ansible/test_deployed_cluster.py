"""A person's session as a job of a cluster, on a site that the playbooks set up by docs/operators/slurm.md.

A hub, and a facility's own Slurm on another machine, which is its controller and its one node. The tests
build on one another: she starts the session, what is around it fails and comes back, she ends it. For `make
deployment-test`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Page, expect

from images.build import main as build_main
from images.unpack import main as unpack_main
from tests.chromium import PAINTED, RESULTS
from visa_session.contract import TOKEN_STDIN_VARIABLE

from . import engine_inside, facility, packages, surroundings
from .browser import browser, log_in, visit
from .cluster import NODE, Cluster, know_people
from .instructions import Instructions
from .machines import Machine
from .operator import Operator
from .playbook import ROOT, Played
from .site import Site
from .surroundings import ANSWERS, HOST, PORTAL, play
from .test_one_machine_doctor import by_itself, look
from .unheard import starts_in_vain

pytestmark = pytest.mark.timeout(2400)

NETWORK, OURS = "visa-test-slurm", "10.250.21."
HUB, NAMES, CN001 = f"{OURS}2", f"{OURS}3", f"{OURS}21"
DEBS = "debs-cluster"
FACILITY = Path("/data/visa-test-cluster")

#: As the pages say, and no more.
FILTER_OF_HUB = f"""{ANSWERS}
iptables -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT
iptables -A INPUT -p tcp -s {CN001} --dport 8443 -j ACCEPT
iptables -A INPUT -j DROP
"""
FILTER_OF_CLUSTER = f"""{ANSWERS}
iptables -A INPUT -p tcp -s {HUB} --dport 1024:65535 -j ACCEPT
iptables -A INPUT -j DROP
"""


@pytest.fixture(scope="module")
def operator(tmp_path_factory) -> Operator:
    return surroundings.an_operator(tmp_path_factory.mktemp("cluster"), OURS)


@pytest.fixture(scope="module")
def data() -> Iterator[Path]:
    with surroundings.data(FACILITY) as place:
        assert build_main(["general"]) == 0
        assert unpack_main(["general", str(place / "shared/images")]) == 0
        yield place


@pytest.fixture(scope="module")
def bare(operator: Operator, data: Path) -> Iterator[tuple[Machine, Cluster]]:
    """A hub as an installer leaves it, and the cluster as its people have it."""
    with (
        surroundings.network(NETWORK, f"{OURS}0/24") as network,
        surroundings.names(network, NAMES, HUB, DEBS) as names,
    ):
        hub = Machine("visa-test-hub", HUB, network=network)
        node = Machine("visa-test-cn001", CN001, network=network)
        both = [*engine_inside.may_mount(), *surroundings.has_data(data, names)]
        both += ["-v", f"{data}/shared:/shared/visa"]
        # As on any machine, people's own namespaces have a /proc of theirs.
        own = ["--security-opt", "unmask=ALL"]
        try:
            hub.start([*both, *surroundings.is_hub(operator, DEBS)])
            node.start([*both, *own, "-v", f"{packages.debs('debs-cn001')}:/var/cache/apt/archives"])
            for machine in (hub, node):
                operator.is_let_in(machine)
                know_people(machine)
            cluster = Cluster(node)
            cluster.set_up()
            yield hub, cluster
        finally:
            for machine in (hub, node):
                machine.remove()


def write_inventory(operator: Operator, cluster: Cluster) -> None:
    """The files of install.md, without its node, and what slurm.md adds."""
    told = Instructions({"10.1.2.": OURS}, ROOT / "docs/operators/slurm.md")
    operator.told.write(operator.tree)
    (place,) = [name for name in told.files if name.endswith("two of its groups")]
    (operator.inventory / "profiles").mkdir()
    surroundings.without_node(operator, yaml.safe_load(told.files.pop(place)))
    told.write(operator.tree)
    (operator.inventory / "slurm.conf").write_text(cluster.conf)
    operator.knows(oauth_client=facility.CLIENT_SECRET, munge_key=cluster.key)


@pytest.fixture(scope="module")
def runs(bare, operator: Operator) -> dict[str, Played]:
    """What the first and the second run of site.yml said."""
    hub, cluster = bare
    surroundings.clone(operator)
    write_inventory(operator, cluster)
    surroundings.certificate(operator, hub)
    surroundings.mirrors(operator)
    surroundings.secrets(operator)
    look_at, do = operator.told.commands[3].splitlines()
    return {"looked": play(operator, look_at), "first": play(operator, do), "again": play(operator, do)}


@pytest.fixture(scope="module")
def site(bare, runs, operator: Operator) -> Iterator[Site]:
    """The deployed site, and its people's provider; a packet filter lets through what the pages say."""
    hub, cluster = bare
    assert runs["first"].code == 0, runs["first"].said[-6000:] + hub.log("visa-hub")
    filters = [(hub, FILTER_OF_HUB), (cluster.machine, FILTER_OF_CLUSTER)]
    with surroundings.served(operator, hub, filters) as site:
        yield site


@pytest.fixture(scope="module")
def cluster(bare) -> Cluster:
    return bare[1]


@pytest.fixture(scope="module")
def page(site: Site, playwright) -> Iterator[Page]:
    """Alice's browser, logged in."""
    with browser(playwright, site.machine) as page:
        log_in(page, "alice")
        yield page


def choose(page: Page) -> None:
    """New session, her experiment, the cluster's plan."""
    visit(page, PORTAL)
    page.get_by_role("link", name="New session").first.click()
    page.locator("label.row").first.click()
    page.locator("label.plan", has_text="Cluster").click()


def test_looking_at_bare_machines_fails_nowhere(runs):
    assert runs["looked"].code == 0, runs["looked"].said[-4000:]


def test_a_second_run_changes_nothing(runs):
    first, again = runs["first"], runs["again"]
    assert first.code == 0, first.said[-6000:]
    assert again.code == 0 and again.changed == {"hub1": 0, NODE: 0}, again.changes


def test_the_doctor_finds_nothing_wrong_before_anybody_comes(site: Site):
    found = look(site)
    assert (found.code, found.under("WRONG"), found.under("COULD NOT BE CHECKED")) == (0, {}, {}), found.said
    assert set(found.under("WARNING")) <= by_itself(), found.said
    assert {"slurm", "cluster-access"} <= set(
        re.sub(r" \([^)]*\)", "", found.line("Fine")).rstrip(".").split(", ")
    )


def test_she_starts_a_job_and_sees_its_desktop(site: Site, cluster: Cluster, page: Page):
    choose(page)
    page.locator("#start").click()
    page.wait_for_url(f"https://alice.{HOST}/**/desktop/**", timeout=120_000)
    page.wait_for_function(PAINTED, timeout=60_000)
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / "deployed-cluster-desktop.png")
    (job,) = cluster.jobs()
    assert job.split()[1:] == ["alice", "RUNNING"]


def test_data_are_held_by_the_node_s_kernel(cluster: Cluster):
    assert cluster.inside("cat /data/visitor/raw/scan.txt").stdout == "raw data\n"
    for who in (cluster.inside, as_root(cluster)):
        refused = who("touch /data/visitor/raw/new", check=False)
        assert "Read-only file system" in refused.stderr, refused.stderr
    cluster.inside("touch /data/visitor/processed/new /home/alice/new")
    owners = cluster.machine.said("stat -c %U /data/visitor/processed/new /home/alice/new")
    assert owners.split() == ["alice", "alice"]


def as_root(cluster: Cluster):
    process = cluster.process()
    return lambda script, **others: cluster.machine.run(f"nsenter -m -t {process} {script}", **others)


def test_its_way_is_tls_by_a_certificate_for_her_name(site: Site):
    token = "token $(. /etc/visa/proxy.env; echo $CONFIGPROXY_AUTH_TOKEN)"
    ways = site.machine.said(f'curl -s -H "Authorization: {token}" http://127.0.0.1:8001/api/routes')
    (port,) = re.findall(rf'"https://{re.escape(CN001)}:(\d+)', ways)
    assert f'"http://{CN001}:' not in ways
    ask = f"openssl s_client -connect {CN001}:{port} -CAfile /etc/visa/inside/authority.pem"
    ask += " -verify_return_error"
    for name, believed in ((f"alice.{HOST}", True), (f"bob.{HOST}", False)):
        answer = site.machine.run(f"{ask} -verify_hostname {name} </dev/null 2>&1", check=False)
        assert (answer.returncode == 0) is believed, answer.stdout
    plain = site.machine.run(f"curl -s -m 5 http://{CN001}:{port}/", check=False)
    assert plain.returncode != 0


def test_no_word_of_its_record_is_a_token(site: Site, cluster: Cluster):
    """What Slurm has written down of the job, here and there, and what others see of its processes."""
    (job,) = cluster.jobs()
    number = job.split()[0]
    asked = [
        f"scontrol show job -dd {number}",
        f"scontrol write batch_script {number} -",
        "cat /var/lib/slurm/slurmctld/hash.*/job.*/* /var/lib/slurm/slurmctld/job_state",
        "find /var/lib/slurm/slurmd -type f -exec cat {} +",
        "cat /proc/[0-9]*/cmdline; cat /shared/visa/spool/20001/*",
        "journalctl --no-pager -u slurmd -u slurmctld; cat /var/log/slurm/*",
    ]
    script = f"({' ; '.join(asked)}) | tr -c '[:print:]' '\\n'"
    written = cluster.machine.run(script, check=False).stdout
    assert "visa:visa:" in written, "the job is in there"
    # As a token of the hub's looks; the job's own mark is among these.
    words = set(re.findall(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", written))
    assert {site.call("GET", "user", word).status_code for word in words} == {403}
    named = cluster.machine.said(f"tr '\\0' '\\n' < /proc/{cluster.process()}/environ | grep TOKEN")
    assert named == f"{TOKEN_STDIN_VARIABLE}=1"


def test_the_cluster_is_reached_from_inside(cluster: Cluster):
    (job,) = cluster.jobs()
    assert cluster.inside("squeue -h -o %i").stdout.split() == [job.split()[0]]


def test_a_hub_that_starts_anew_has_it_still(site: Site, cluster: Cluster, page: Page):
    before = cluster.jobs()
    site.machine.run("systemctl restart visa-hub")
    site.machine.until("visa doctor --only hub", 60)
    visit(page, PORTAL)
    expect(page.locator("li.tile .state")).to_have_text("Running", timeout=60_000)
    assert cluster.jobs() == before
    page.locator("[data-do=desktop]").click()
    page.wait_for_function(PAINTED, timeout=60_000)


def test_a_controller_that_is_silent_ends_nothing(cluster: Cluster, page: Page):
    visit(page, PORTAL)
    cluster.machine.run("systemctl stop slurmctld")
    tile = page.locator("li.tile")
    expect(tile.locator(".state")).to_have_text("State unknown", timeout=90_000)
    expect(tile.locator(".words")).to_contain_text("The cluster has not answered since")
    page.screenshot(path=RESULTS / "deployed-cluster-silent.png")
    page.locator("[data-do=desktop]").click()
    page.wait_for_function(PAINTED, timeout=60_000)
    visit(page, PORTAL)
    cluster.machine.run("systemctl start slurmctld")
    expect(tile.locator(".state")).to_have_text("Running", timeout=120_000)
    assert [job.split()[1:] for job in cluster.jobs()] == [["alice", "RUNNING"]]


def test_she_ends_it_and_the_job_is_over(cluster: Cluster, page: Page):
    visit(page, PORTAL)
    page.locator("[data-do=stop]").click()
    page.get_by_role("button", name=re.compile("^Stop")).last.click()
    expect(page.locator("li.tile .state")).to_have_text("Stopped", timeout=60_000)
    cluster.until_empty()
    assert cluster.machine.said("ls /shared/visa/spool/20001") == ""
    assert cluster.machine.run("pgrep -u alice", check=False).stdout == ""


def test_a_node_that_does_not_reach_the_hub_is_said(site: Site, cluster: Cluster, page: Page):
    """And none of it is left; what is open again starts."""
    choose(page)
    starts_in_vain(site, page, NODE, CN001)
    cluster.until_empty()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(f"https://alice.{HOST}/**/desktop/**", timeout=120_000)
