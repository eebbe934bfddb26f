"""A site on one machine, from nothing: deployed, used, upgraded, rolled back, put back on another machine.

The tests build on one another, in the order in which they stand: each step is one of the operator's.
"""

from __future__ import annotations

import json
import re
import shutil

import httpx
import pytest

from tests.chromium import PAINTED

from . import facility
from .conftest import Site
from .machines import Machine, podman
from .playbook import play, played

SESSION = "work"
#: The first test waits for the whole site, and one of them makes another machine.
pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def kept() -> dict:
    """What one step leaves for the next."""
    return {}


def test_a_look_beforehand_fails_nowhere_and_changes_nothing(site: Site):
    assert site.looked.code == 0, site.looked.said[-4000:]
    assert "+++ after" in site.looked.said  # --diff has something to show
    assert "visa_secret" not in site.looked.said


def test_a_second_run_changes_nothing(site: Site):
    assert site.again.code == 0, site.again.said[-4000:]
    assert site.again.changed == {site.machine.name: 0}, site.again.changes


def test_secrets_are_root_s_and_in_no_log(site: Site):
    modes = site.machine.said("cd /etc/visa && stat -c '%a %U' hub.env portal.env proxy.env")
    assert modes.splitlines() == ["600 root"] * 3
    secrets = re.findall(r"[0-9a-f]{64}", site.machine.said("cat /etc/visa/*.env")) + [facility.CLIENT_SECRET]
    assert len(set(secrets)) == 5
    everything = site.first.said + site.again.said + site.looked.said
    everything += site.machine.said("journalctl --no-pager")
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
        # A name below, as each person's sessions have one.
        assert client.get("https://alice.visa.test/hub/health").status_code in (200, 404)
        with pytest.raises(httpx.ConnectError):  # a name that is not the site's
            client.get("https://elsewhere.test/")
        plain = client.get("http://visa.test/hub/login?next=%2Fhub%2Fhome")
    assert plain.status_code == 301
    assert plain.headers["Location"] == "https://visa.test/hub/login?next=%2Fhub%2Fhome"


def test_metrics_need_the_token(site: Site):
    ask = f"curl -s -o /dev/null -w '%{{http_code}}' http://{site.machine.address}:8081/hub/metrics"
    assert site.machine.said(ask) == "403"
    token = "$(cat /etc/visa/monitoring/token)"
    assert site.machine.said(f'{ask} -H "Authorization: token {token}"') == "200"
    # From outside it is not there at all, where nobody was named.
    with site.client() as client:
        assert client.get(f"{facility.URL}/hub/metrics").status_code == 403
    # The same token may do nothing else.
    users = ask.replace("hub/metrics", "hub/api/users")
    assert site.machine.said(f'{users} -H "Authorization: token {token}"') == "403"


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


def test_a_person_logs_in_and_sees_the_desktop(site: Site, page, kept):
    """Over HTTPS, by the facility's provider, in an origin of their own."""
    page.goto(facility.URL)
    page.get_by_role("link", name="Log in").or_(page.get_by_role("button", name="Log in")).click()
    page.locator("input[type=password]").wait_for()
    page.locator("form input:not([type=password]):not([type=hidden])").first.fill("alice")
    page.locator("input[type=password]").fill(facility.PASSWORD)
    page.locator("form [type=submit]").click()
    page.wait_for_url("https://visa--service.visa.test/services/visa/**")
    cookies = page.context.cookies()
    hub = [one for one in cookies if one["name"].startswith("__Host-") and one["domain"] == "visa.test"]
    assert hub and all(one["secure"] for one in hub), cookies

    kept["alice"] = site.token("alice")
    asked = {"profile": "general", "plan": "medium", "interface": "desktop"}
    asked["experiments"] = [facility.EXPERIMENT]
    started = site.call("POST", f"users/alice/servers/{SESSION}", kept["alice"], json={"user_options": asked})
    assert started.status_code in (201, 202), started.text
    record = site.until_running(kept["alice"], SESSION)
    kept["sockets"] = []
    page.on("websocket", kept["sockets"].append)
    page.goto(f"{record['url']}desktop/")
    assert page.url.startswith("https://alice.visa.test/")
    page.wait_for_function(PAINTED, timeout=60_000)
    assert kept["sockets"] and not any(one.is_closed() for one in kept["sockets"])


def test_a_share_is_in_the_audit_log_with_the_browser_s_address(site: Site, kept):
    """Not the web server's: X-Forwarded-For came through, and VISA_TRUSTED_PROXIES names it."""
    site.log_in("bob")
    member = {"name": "bob", "role": "viewer"}
    shared = site.call("POST", f"visa/sharing/alice/{SESSION}/members", kept["alice"], json=member)
    assert shared.status_code in (200, 201), shared.text
    template = "{{(index .Subnets 0).Gateway}}"
    gateway = podman("network", "inspect", "podman", "--format", template).stdout.strip()
    lines = [json.loads(line) for line in site.machine.said("cat /var/log/visa/events.jsonl").splitlines()]
    addresses = {value for line in lines for value in _texts(line) if re.fullmatch(r"[0-9.]{7,15}", value)}
    assert addresses == {gateway}, lines


def _texts(thing) -> list[str]:
    if isinstance(thing, dict):
        return [text for value in thing.values() for text in _texts(value)]
    return [thing] if isinstance(thing, str) else []


def containers() -> list[str]:
    ours = ["--filter", f"label=visa.hub={facility.HUB_ID}"]
    return podman("ps", "--no-trunc", "--format", "{{.ID}}", *ours).stdout.split()


def pid(site: Site, unit: str) -> str:
    return site.machine.said(f"systemctl show -P MainPID {unit}")


def answers(site: Site, kept: dict) -> int:
    """What the session's own server says to its owner, through web server and proxy."""
    with site.client() as client:
        headers = {"Authorization": f"token {kept['alice']}"}
        url = f"https://alice.visa.test/user/alice/{SESSION}/api/status"
        return client.get(url, headers=headers).status_code


def turn_to(site: Site, tree) -> None:
    """Name another tree in the inventory, as an operator who has fetched a new version."""
    path = site.inventory / "group_vars/visa/site.yml"
    path.write_text(re.sub(r"visa_source: .*", f"visa_source: {tree}", path.read_text()))


def test_an_upgrade_leaves_sessions_and_proxy_alone(site: Site, page, kept):
    """Not one socket of the open desktop closes meanwhile."""
    before = containers(), pid(site, "visa-proxy"), site.machine.said("readlink /opt/visa/current")
    hub = pid(site, "visa-hub")
    turn_to(site, site.now)
    # site.yml by itself installs the new release, and does not turn over to it; upgrade.yml does.
    played(site.machine, site.inventory, "upgrade.yml")
    assert (containers(), pid(site, "visa-proxy")) == before[:2] and len(before[0]) == 1
    assert pid(site, "visa-hub") != hub
    kept["old"], kept["new"] = before[2], site.machine.said("readlink /opt/visa/current")
    assert kept["new"] != kept["old"] == site.machine.said("readlink /opt/visa/previous")
    assert site.machine.said("ls /var/backups/visa").count(".tar.gz") == 1
    site.until_running(kept["alice"], SESSION)
    assert answers(site, kept) == 200
    page.wait_for_timeout(100)  # the browser tells what happened meanwhile only while it is asked something
    desktop = [one for one in kept["sockets"] if "/desktop" in one.url]
    assert desktop and not any(one.is_closed() for one in desktop)
    assert page.evaluate(PAINTED)


def test_going_back_is_one_command(site: Site, kept):
    before = containers(), pid(site, "visa-proxy")
    played(site.machine, site.inventory, "rollback.yml")
    assert site.machine.said("readlink /opt/visa/current") == kept["old"]
    assert (containers(), pid(site, "visa-proxy")) == before
    site.until_running(kept["alice"], SESSION)
    assert answers(site, kept) == 200


def test_a_release_whose_database_differs_is_not_rolled_back_unasked(site: Site, kept):
    """The two releases here want the same of it: one is made to say otherwise."""
    mark = f"/opt/visa/{kept['new']}/release.json"
    was = site.machine.said(f"cat {mark}")
    site.machine.run(f"ln -sfn {kept['new']} /opt/visa/previous")
    site.machine.run(f'sed -i \'s/"schema": "/&another /\' {mark}')
    refused = play(site.machine, site.inventory, "rollback.yml")
    site.machine.run(f"cat > {mark} <<'E'\n{was}\nE")
    assert refused.code != 0 and "visa_rollback_database=true" in refused.said
    assert site.machine.said("readlink /opt/visa/current") == kept["old"]
    assert site.machine.said("systemctl is-active visa-hub") == "active"


def test_an_upgrade_that_fails_is_turned_back(site: Site, kept):
    """Its migration fails: the release before runs again, with its settings, and the session is there."""
    program = f"/opt/visa/{kept['new']}/venv/bin/jupyterhub"
    site.machine.run(f"mv {program} {program}.whole && ln -s /bin/false {program}")
    settings = site.inventory / "group_vars/visa/site.yml"
    was = settings.read_text()
    settings.write_text(was.replace("Test Light Source", "Another Light Source"))
    failed = play(site.machine, site.inventory, "upgrade.yml")
    settings.write_text(was)
    site.machine.run(f"mv {program}.whole {program}")
    assert failed.code != 0 and "the release before runs again" in failed.said, failed.said[-3000:]
    assert site.machine.said("readlink /opt/visa/current") == kept["old"]
    assert "Test Light Source" in site.machine.said("cat /etc/visa/site.env")
    site.until_running(kept["alice"], SESSION)
    assert answers(site, kept) == 200


def picture(site: Site, kept: dict) -> dict:
    """What a backup must bring back, as the hub tells it."""
    users = site.call("GET", "users").raise_for_status().json()
    session = site.sessions(kept["alice"])[SESSION]
    shared = site.call("GET", f"visa/sharing/alice/{SESSION}", kept["alice"]).raise_for_status().json()
    lines = site.machine.said("cat /var/log/visa/events.jsonl").splitlines()
    return {
        "users": {one["name"]: sorted(one["groups"]) for one in users},
        "session": {key: session[key] for key in ("name", "title", "state", "profile", "plan")},
        "members": [(one["name"], one["role"]) for one in shared["members"]],
        "audit": lines,
    }


def test_a_backup_is_put_back_on_another_machine(site: Site, around, kept):
    """Users, sessions that run, shares and audit log are as they were; the machine had software alone."""
    wanted, running = picture(site, kept), containers()
    file = site.machine.said("/usr/local/sbin/visa-backup make").splitlines()[-1]
    here = around["folder"] / "backup.tar.gz"
    podman("cp", f"{site.machine.name}:{file}", str(here))
    site.machine.stop()  # the machine is lost; its sessions run on, on their node

    other = Machine("visa-test-two", site.machine.address)
    try:
        other.start(site.options)
        inventory = site.inventory.with_name("inventory-two")
        shutil.copytree(site.inventory, inventory)
        hosts = inventory / "hosts.yml"
        hosts.write_text(hosts.read_text().replace(site.machine.name, other.name))
        played(other, inventory, "site.yml", "--tags", "common,postgresql,hub,tls_proxy,backup")
        podman("cp", str(here), f"{other.name}:/var/backups/visa/restored.tar.gz")
        played(other, inventory, "restore.yml", "-e", "visa_restore=/var/backups/visa/restored.tar.gz")
        (site.inventory.parent / "authority.pem").unlink(missing_ok=True)
        moved = Site(other, inventory, site.now, site.options, site.looked, site.first, site.again)
        moved.until_running(kept["alice"], SESSION)
        found = picture(moved, kept)
        # The hub goes on writing: what was there is there, line by line.
        assert found.pop("audit")[: len(wanted["audit"])] == wanted.pop("audit")
        assert found == wanted
        assert containers() == running
        assert answers(moved, kept) == 200
        half = "cd /var/backups/visa && head -c 5000 restored.tar.gz > half.tar.gz"
        damaged = other.run(f"{half} && visa-backup check /var/backups/visa/half.tar.gz", check=False)
        assert damaged.returncode == 1 and "is no whole backup" in damaged.stderr
    finally:
        other.remove()
