"""A site on one machine, from nothing: deployed, used, upgraded, put back elsewhere, booted again.

The tests build on one another, in the order in which they stand: each step is one of the operator's. Each
passes alone as well, on a site of its own. Those that take longer are in test_way_back.py.
"""

from __future__ import annotations

import json
import re
import shutil

import httpx
import pytest
import yaml

from tests.chromium import PAINTED, RESULTS

from . import facility, packages
from .conftest import visit
from .machines import Machine, podman
from .playbook import hasten, played
from .site import SESSION, Person, Site

#: The first test waits for the whole site, and one of them makes another machine.
pytestmark = pytest.mark.timeout(1500)


def test_a_second_run_changes_nothing(site: Site, runs):
    again = runs["again"]
    assert again.code == 0, again.said[-4000:]
    assert again.changed == {site.machine.name: 0}, again.changes


def test_secrets_are_root_s_and_in_no_log(site: Site, runs):
    modes = site.machine.said("cd /etc/visa && stat -c '%a %U' hub.env portal.env proxy.env")
    assert modes.splitlines() == ["600 root"] * 3
    secrets = re.findall(r"[0-9a-f]{64}", site.machine.said("cat /etc/visa/*.env")) + [facility.CLIENT_SECRET]
    assert len(set(secrets)) == 5
    everything = "".join(run.said for run in runs.values()) + site.machine.said("journalctl --no-pager")
    assert [secret for secret in secrets if secret in everything] == []
    listed = site.machine.said("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert [secret for secret in secrets if secret in listed] == []


def test_services_run_as_their_own_accounts(site: Site):
    user = "ps -o user:20= -p $(systemctl show -P MainPID $unit)"
    users = site.machine.said(f"for unit in visa-hub visa-portal visa-proxy; do {user}; done")
    assert users.split() == ["root", "visa-portal", "visa-proxy"]


def test_tls_names_and_headers(site: Site):
    with site.client() as client:
        answer = client.get(f"{facility.URL}/hub/health")
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert client.get(f"{facility.URL}/_chp_healthz").status_code == 404
        plain = client.get("http://visa.test/hub/login?next=%2Fhub%2Fhome")
    # Each by a line of its own, which begins with the name. One below, as each person's sessions have it:
    with site.client() as client:
        assert client.get("https://alice.visa.test/hub/health").status_code in (200, 404)
    with site.client() as client, pytest.raises(httpx.ConnectError):  # and one that is not the site's
        client.get("https://elsewhere.test/")
    assert plain.status_code == 301
    assert plain.headers["Location"] == "https://visa.test/hub/login?next=%2Fhub%2Fhome"


def test_metrics_need_the_token(site: Site):
    ask = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8081/hub/metrics"
    assert site.machine.said(ask) == "403"
    token = "$(cat /etc/visa/monitoring/token)"
    assert site.machine.said(f'{ask} -H "Authorization: token {token}"') == "200"
    # From outside it is not there at all, where nobody was named.
    with site.client() as client:
        assert client.get(f"{facility.URL}/hub/metrics").status_code == 403
    # The same token may do nothing else.
    users = ask.replace("hub/metrics", "hub/api/users")
    assert site.machine.said(f'{users} -H "Authorization: token {token}"') == "403"


def test_sessions_reach_the_hub_by_tls_alone_and_its_api_alone(site: Site):
    """By a certificate of the authority inside, for the hub's address; no plain way, and no pages."""
    address = site.machine.address
    ask = "curl -s -o /dev/null -w '%{http_code}' --cacert /etc/visa/inside/authority.pem"
    assert site.machine.said(f"{ask} https://{address}:8443/hub/api/") == "200"
    for path in ("hub/login", "hub/metrics", "", "services/visa/"):
        assert site.machine.said(f"{ask} https://{address}:8443/{path}") == "404"
    public = f"curl -s https://{address}:8443/hub/api/"
    assert site.machine.run(public, check=False).returncode == 60, "no authority that the world has signed it"
    plain = site.machine.run(f"curl -s http://{address}:8081/hub/api/", check=False)
    assert plain.returncode == 7, "the hub itself is reached from its own machine alone"
    modes = site.machine.said(
        "cd /etc/visa/inside && stat -c '%n %a %U' authority.key authority.pem hub.key hub.pem"
    )
    wanted = ["authority.key 600", "authority.pem 644", "hub.key 600", "hub.pem 644"]
    assert modes.splitlines() == [f"{one} root" for one in wanted]


def test_prometheus_has_the_hub_and_the_rules(site: Site):
    up = "curl -sG http://127.0.0.1:9090/api/v1/query --data-urlencode 'query=up{job=\"visa-hub\"} == 1'"
    up += " | grep visa-hub"
    site.machine.until(up, 60)
    rules = json.loads(site.machine.said("curl -s http://127.0.0.1:9090/api/v1/rules"))
    assert len(rules["data"]["groups"][0]["rules"]) >= 8
    site.machine.run("promtool check rules /etc/visa/monitoring/visa.rules.yml")


def test_the_engine_answers_the_hub_alone(site: Site):
    address = f"https://{site.machine.address}:2376/_ping"
    own = "--cacert /etc/visa/engines/authority.pem"
    known = f"{own} --cert /etc/visa/engines/hub.pem --key /etc/visa/engines/hub.key"
    assert site.machine.said(f"curl -s {known} {address}") == "OK"
    refused = site.machine.run(f"curl -s {own} {address}", check=False)
    assert refused.returncode != 0 and refused.stdout == ""
    # A node's certificate is of the same authority, and no hub's.
    node = f"{own} --cert /etc/visa/engine/node.pem --key /etc/visa/engine/node.key"
    assert site.machine.run(f"curl -s {node} {address}", check=False).stdout == ""


def test_a_person_logs_in_and_sees_the_desktop(site: Site, page, alice):
    """Over HTTPS, by the facility's provider, in an origin of their own."""
    cookies = page.context.cookies()
    hub = [one for one in cookies if one["name"].startswith("__Host-") and one["domain"] == "visa.test"]
    assert hub and all(one["secure"] for one in hub), cookies
    assert page.url.startswith("https://alice.visa.test/")
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / "deployed-desktop.png")
    assert page.evaluate(PAINTED)
    assert alice.open_desktops() == 1


def test_a_share_is_in_the_audit_log_with_the_browser_s_address(site: Site, alice):
    """Not the web server's: X-Forwarded-For came through, and VISA_TRUSTED_PROXIES names it."""
    site.log_in("bob")
    member = {"name": "bob", "role": "viewer"}
    shared = site.call("POST", f"visa/sharing/alice/{SESSION}/members", alice.token, json=member)
    assert shared.status_code in (200, 201), shared.text
    template = "{{(index .Subnets 0).Gateway}}"
    gateway = podman("network", "inspect", "podman", "--format", template).stdout.strip()
    lines = [json.loads(line) for line in site.machine.said("cat /var/log/visa/events.jsonl").splitlines()]
    addresses = {value for line in lines for value in _texts(line) if re.fullmatch(r"[0-9.]{7,15}", value)}
    assert addresses == {gateway}, lines


def test_proxy_and_session_speak_tls(site: Site, alice):
    """Her session answers in TLS alone, with the certificate of her name; and it has asked the hub by TLS."""
    token = "$(sed -n 's/^CONFIGPROXY_AUTH_TOKEN=//p' /etc/visa/proxy.env)"
    said = site.machine.said(f'curl -s -H "Authorization: token {token}" http://127.0.0.1:8001/api/routes')
    targets = [one["target"] for path, one in json.loads(said).items() if path.endswith(f"/alice/{SESSION}")]
    assert len(targets) == 1 and targets[0].startswith("https://"), targets
    host, port = targets[0].removeprefix("https://").split(":")
    to = f"--cacert /etc/visa/inside/authority.pem --connect-to alice.visa.test:443:{host}:{port}"
    page = f"https://alice.visa.test/user/alice/{SESSION}/api"
    assert site.machine.said(f"curl -s -o /dev/null -w '%{{http_code}}' {to} {page}") == "200"
    bobs = f"curl -s {to.replace('alice', 'bob')} {page.replace('alice.', 'bob.')}"
    assert site.machine.run(bobs, check=False).returncode == 60
    assert site.machine.run(f"curl -s http://{host}:{port}/", check=False).returncode != 0
    environment = podman("inspect", "--format", "{{.Config.Env}}", *containers()).stdout
    assert f"JUPYTERHUB_API_URL=https://{site.machine.address}:8443/hub/api" in environment
    assert "http://" + site.machine.address not in environment


def _texts(thing) -> list[str]:
    if isinstance(thing, dict):
        return [text for value in thing.values() for text in _texts(value)]
    return [thing] if isinstance(thing, str) else []


def containers() -> list[str]:
    ours = ["--filter", f"label=visa.hub={facility.HUB_ID}"]
    return podman("ps", "--no-trunc", "--format", "{{.ID}}", *ours).stdout.split()


def turn_to(site: Site, tree) -> None:
    """Name another tree in the inventory, as an operator who has fetched a new version."""
    path = site.inventory / "group_vars/visa/site.yml"
    variables = yaml.safe_load(path.read_text())
    variables["visa_source"] = str(tree)
    variables["visa_environment"]["PIP_FIND_LINKS"] = "/wheels /later"
    path.write_text(yaml.safe_dump(variables))


def state(site: Site) -> list[str]:
    """The revisions that the database is at: JupyterHub's and VISA's."""
    tables = ("alembic_version", "visa_alembic_version")
    return [site.ask_database(f"SELECT version_num FROM {table}") for table in tables]


def test_an_upgrade_leaves_sessions_and_proxy_alone(site: Site, page, alice, kept):
    """Not one socket of the open desktop closes meanwhile; the database is migrated, after a backup."""
    before = containers(), site.pid("visa-proxy")
    hub, kept["old"], kept["state"] = site.pid("visa-hub"), site.release(), state(site)
    turn_to(site, site.now)
    played(site.machine, site.inventory, "upgrade.yml")
    assert (containers(), site.pid("visa-proxy")) == before and len(before[0]) == 1
    assert site.pid("visa-hub") != hub
    kept["new"] = site.release()
    assert kept["new"] != kept["old"] == site.release("previous")
    assert state(site) == ["test_users", "test_visa_events"]
    for table in ("users", "visa_events"):
        assert site.ask_database(f"SELECT count(*) > 0 AND every(in_a_test = id) FROM {table}") == "t"
    (backup,) = site.machine.said("ls /var/backups/visa/*.tar.gz").splitlines()
    assert json.loads(site.machine.said(f"visa-backup check {backup}"))["release"] in kept["old"]
    tables = "pg_restore --schema-only --file=-"
    assert "in_a_test" not in site.machine.said(f"tar -xzOf {backup} database.dump | {tables}")
    runs_on(site, alice)
    page.wait_for_timeout(100)  # the browser tells what happened meanwhile only while it is asked something
    assert alice.open_desktops() == 1 and page.evaluate(PAINTED)


def runs_on(site: Site, alice: Person) -> None:
    """The session is there to the hub, and its own server answers by web server and proxy."""
    site.until_running(alice.token, SESSION)
    assert site.answers(alice.token, "alice", SESSION) == 200


#: A hub whose settings have a mistake that names a secret, and logs as the site's own does.
BROKEN = """
import visa_logs.hub
visa_logs.hub.prepare(c)
raise ValueError("Authorization: token 0123456789abcdef0123456789abcdef")
"""


def test_the_journal_has_records_without_secrets(site: Site, page, alice):
    """Of hub and portal as they run now; and of a hub that ends by a mistake, whose traceback is in one."""
    hub, portal = (since_start(site, unit) for unit in ("visa-hub", "visa-portal"))
    assert site.call("GET", f"visa/nothing/{alice.token}", alice.token).status_code == 404
    tab = page.context.new_page()
    visit(tab, f"https://visa--service.visa.test/services/visa/history?x={alice.token}")
    tab.close()

    asked = records(site, f"{portal} VISA_PATH=/services/visa/history")[-1]
    wanted = {"PRIORITY": "6", "LOGGER": "visa_portal.access", "SYSLOG_IDENTIFIER": "visa-portal"}
    wanted |= {"VISA_METHOD": "GET", "VISA_STATUS": "200", "VISA_USER": "alice"}
    assert {name: asked.get(name) for name in wanted} == wanted and float(asked["VISA_MS"]) > 0
    assert asked["MESSAGE"].startswith("200 GET /services/visa/history (alice) ")
    (refused,) = records(site, f"{hub} VISA_PATH='/hub/api/visa/nothing/[secret]'")
    assert (refused["PRIORITY"], refused["VISA_STATUS"], refused["VISA_USER"]) == ("4", "404", "alice")
    warnings = records(site, f"{hub} -p warning")
    assert refused in warnings and {one["PRIORITY"] for one in warnings} <= {"2", "3", "4"}
    assert "6" in {one["PRIORITY"] for one in records(site, hub)}

    run = "systemd-run -q --wait -u visa-broken /opt/visa/current/venv/bin/jupyterhub -f /run/broken.py"
    broken = site.machine.run(f"cat > /run/broken.py <<'END'\n{BROKEN}END\n{run}", check=False)
    assert broken.returncode == 1, broken.stderr
    traces = [one for one in records(site, "-u visa-broken") if "ValueError" in one["MESSAGE"]]
    assert traces and all("Traceback (most recent call last)" in one["MESSAGE"] for one in traces), traces
    assert {one["PRIORITY"] for one in traces} == {"3"}
    assert "ValueError: Authorization: [secret]" in traces[0]["MESSAGE"]

    secrets = set(re.findall(r"[0-9a-f]{64}", site.machine.said("cat /etc/visa/*.env")))
    secrets |= {facility.CLIENT_SECRET, facility.SERVICE_TOKEN, alice.token, "0123456789abcdef"}
    cookies = {one["value"].strip('"') for one in page.context.cookies()}
    secrets |= {value for value in cookies if len(value) >= 16}
    assert len(secrets) >= 10
    whole = json.dumps(records(site, f"{hub} {portal}") + records(site, "-u visa-broken"))
    assert [secret for secret in secrets if secret in whole] == []


def since_start(site: Site, unit: str) -> str:
    """What names a service's records in the journal since it was started last."""
    return f"_SYSTEMD_INVOCATION_ID={site.machine.said(f'systemctl show -P InvocationID {unit}')}"


def records(site: Site, which: str) -> list[dict]:
    """Records of the journal, as its own program has them; long ones too."""
    said = site.machine.said(f"journalctl --sync && journalctl --no-pager -q --all -o json {which}")
    return [json.loads(line) for line in said.splitlines()]


def picture(site: Site, alice: Person) -> dict:
    """What a backup must bring back, as the hub tells it."""
    users = site.call("GET", "users").raise_for_status().json()
    session = site.sessions(alice.token)[SESSION]
    shared = site.call("GET", f"visa/sharing/alice/{SESSION}", alice.token).raise_for_status().json()
    lines = site.machine.said("cat /var/log/visa/events.jsonl").splitlines()
    return {
        "users": {one["name"]: sorted(one["groups"]) for one in users},
        "session": {key: session[key] for key in ("name", "title", "state", "profile", "plan")},
        "members": [(one["name"], one["role"]) for one in shared["members"]],
        "audit": lines,
    }


def test_a_backup_is_put_back_on_another_machine(site: Site, around, alice):
    """Users, sessions that run, shares and audit log are as they were.

    By the steps of docs/operators/upgrade.md. The other machine has the software already, and a program that
    keeps its clock; a hub without sessions has run on it, and ended none of them.
    """
    wanted, running = picture(site, alice), containers()
    file = site.machine.said("/usr/local/sbin/visa-backup make").splitlines()[-1]
    here = around["folder"] / "backup.tar.gz"
    podman("cp", f"{site.machine.name}:{file}", str(here))
    site.machine.stop()  # the machine is lost; its sessions run on, on their node
    site.disconnect()

    other = Machine("visa-test-two", site.machine.address)
    inventory = site.inventory.with_name("inventory-two")
    moved = Site(other, inventory, site.now, site.options, site.port)
    try:
        other.start([*site.options, "-v", f"{packages.software('two', of='one')}:/opt/visa"])
        hasten(other)
        moved.connect()
        shutil.copytree(site.inventory, inventory)
        hosts = inventory / "hosts.yml"
        hosts.write_text(hosts.read_text().replace(site.machine.name, other.name))
        # Its hub reaches the engine by the socket: a node is nothing that is put back.
        nodes = [{"name": "node1", "engine": f"unix://{around['engine']}", **facility.SIZE}]
        (inventory / "group_vars/visa/zz.yml").write_text(yaml.safe_dump({"visa_nodes": nodes}))
        other.install("chrony")
        played(other, inventory, "site.yml", "--tags", "common,postgresql,hub,backup")
        assert other.run("command -v chronyd && ! test -e /lib/systemd/systemd-timesyncd")
        other.until("journalctl -u visa-hub | grep -q 'knows no session'", 30)
        assert containers() == running
        podman("cp", str(here), f"{other.name}:/var/backups/visa/restored.tar.gz")
        played(other, inventory, "restore.yml", "-e", "visa_restore=/var/backups/visa/restored.tar.gz")
        inside = "/etc/visa/inside/authority.pem"
        other.run(f"openssl verify -CAfile {inside} /etc/visa/inside/hub.pem")  # of the one that came back
        played(other, inventory, "site.yml", "--tags", "hub,tls_proxy")
        # Sessions that run believe the authority that came with the backup; the hub has a certificate of it.
        believed = podman("exec", *running, "sh", "-c", 'printf %s "$VISA_AUTHORITY"').stdout
        assert other.said(f"cat {inside}").strip() == believed.strip()
        other.run(f"curl -sf --cacert {inside} https://{other.address}:8443/hub/api/")
        runs_on(moved, alice)
        found = picture(moved, alice)
        # The hub goes on writing: what was there is there, line by line.
        assert found.pop("audit")[: len(wanted["audit"])] == wanted.pop("audit")
        assert found == wanted
        assert containers() == running
        moved.log_in("bob")
        half = "cd /var/backups/visa && head -c 5000 restored.tar.gz > half.tar.gz"
        damaged = other.run(f"{half} && visa-backup check /var/backups/visa/half.tar.gz", check=False)
        assert damaged.returncode == 1 and "is no whole backup" in damaged.stderr
    finally:
        moved.disconnect()
        other.remove()


def test_all_comes_back_when_the_machine_is_booted_again(site: Site, alice):
    """By itself, in whatever order; the session has run on, on its node."""
    running = containers()
    site.machine.stop()
    site.machine.boot()
    site.connect()
    health = "http://127.0.0.1:8081/hub/health"
    site.machine.until(f"curl -sf {health}", 60)
    site.machine.until("curl -sf http://127.0.0.1:8090/services/visa/health", 60)
    units = "visa-hub visa-portal visa-proxy visa-engine visa-network visa-backup.timer nginx prometheus"
    assert site.machine.said(f"systemctl is-active {units}").split() == ["active"] * len(units.split())
    runs_on(site, alice)
    assert containers() == running
    site.log_in("bob")
