"""What does not go as it should: turned back, refused, rolled back; certificates for other names.

On the site that test_one_machine.py has used and upgraded: the two run together. For `make deployment-test`.
"""

from __future__ import annotations

import shutil

import pytest

from .playbook import play, played
from .site import Site
from .test_one_machine import containers, runs_on, state, turn_to

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture
def upgraded(site: Site, kept) -> dict:
    assert "new" in kept, "test_one_machine.py comes before"
    return kept


def test_a_look_beforehand_fails_nowhere_and_changes_nothing(site: Site, runs):
    """At the bare machine, before anything was there."""
    looked = runs["looked"]
    assert looked.code == 0, looked.said[-4000:]
    assert "+++ after" in looked.said  # --diff has something to show


def test_a_look_at_a_site_that_is_up_to_date_has_nothing_to_show(site: Site, runs):
    last = runs["last"]
    assert last.code == 0, last.said[-4000:]
    assert last.changed == {site.machine.name: 0}, last.changes
    assert "+++ after" not in last.said


def test_what_the_database_has_since_is_not_lost_unasked(site: Site, upgraded):
    """The release before cannot read the database, which the upgrade has migrated."""
    refused = play(site.machine, site.inventory, "rollback.yml")
    assert refused.code != 0 and "visa_rollback_database=true" in refused.said
    assert site.release() == upgraded["new"]
    assert site.machine.said("systemctl is-active visa-hub") == "active"


def test_going_back_with_the_database(site: Site, upgraded, alice):
    """As it was before the upgrade, from the backup that was made then; the session was there."""
    before = containers(), site.pid("visa-proxy")
    played(site.machine, site.inventory, "rollback.yml", "-e", "visa_rollback_database=true")
    as_before(site, upgraded, alice)
    assert (containers(), site.pid("visa-proxy")) == before


def as_before(site: Site, upgraded: dict, alice) -> None:
    """The release before runs, on the database that it knows, and the session with it."""
    assert site.release() == upgraded["old"]
    assert state(site) == upgraded["state"]
    columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'in_a_test'"
    assert site.ask_database(columns) == "0"
    runs_on(site, alice)


#: Comes after the one that works: JupyterHub's are each a transaction of their own.
FAILS = """
from alembic import op

revision, down_revision = "test_fails", "test_users"
branch_labels = depends_on = None


def upgrade():
    op.execute("UPDATE users SET in_a_test = 1 / 0")
"""


def test_a_migration_that_fails_half_way_is_turned_back(site: Site, upgraded, alice):
    """The release before runs again, with its settings, on the database as it was; the session is there."""
    folder = f"/opt/visa/{upgraded['new']}/venv/lib/python3*/site-packages/jupyterhub/alembic/versions"
    site.machine.run(f"cat > $(echo {folder})/fails.py <<'E'{FAILS}E")
    settings = site.inventory / "group_vars/visa/site.yml"
    was = settings.read_text()
    settings.write_text(was.replace("Test Light Source", "Another Light Source"))
    failed = play(site.machine, site.inventory, "upgrade.yml")
    settings.write_text(was)
    site.machine.run(f"rm {folder}/fails.py")
    assert failed.code != 0 and "the release before runs again" in failed.said, failed.said[-3000:]
    assert "division by zero" in failed.said
    assert "Test Light Source" in site.machine.said("cat /etc/visa/site.env")
    as_before(site, upgraded, alice)


def test_one_that_does_not_come_up_is_turned_back(site: Site, upgraded, alice):
    """Its migration ends well; then the hub is to listen where it cannot."""
    settings = site.inventory / "settings.py"
    was = settings.read_text()
    settings.write_text(was + "c.JupyterHub.hub_bind_url = 'http://192.0.2.1:8081'\n")
    failed = play(site.machine, site.inventory, "upgrade.yml", "-e", "visa_start_seconds=45")
    settings.write_text(was)
    assert failed.code != 0 and "the release before runs again" in failed.said, failed.said[-3000:]
    assert "not well after 45 s" in failed.said
    assert "192.0.2.1" not in site.machine.said("cat /etc/visa/jupyterhub_config.d/50-facility.py")
    as_before(site, upgraded, alice)


def test_it_can_be_upgraded_after_all_that(site: Site, upgraded, alice):
    played(site.machine, site.inventory, "upgrade.yml")
    assert site.release() == upgraded["new"] and state(site) != upgraded["state"]
    again = play(site.machine, site.inventory, "site.yml")
    assert again.changed == {site.machine.name: 0}, again.changes
    runs_on(site, alice)


def test_going_back_is_one_command(site: Site, around, upgraded, alice):
    """From a release that wants the same of the database; site.yml alone left it beside the one that ran."""
    third = around["folder"] / "third"
    shutil.copytree(site.now, third)
    with (third / "jupyterhub_config.py").open("a") as file:
        file.write("# The release after, in a test.\n")
    turn_to(site, third)
    before = containers(), site.pid("visa-proxy"), site.pid("visa-hub")
    waits = played(site.machine, site.inventory, "site.yml", "--tags", "hub")
    assert "upgrade.yml turns over" in waits.said
    assert (containers(), site.pid("visa-proxy"), site.pid("visa-hub")) == before
    played(site.machine, site.inventory, "upgrade.yml")
    assert site.release() != upgraded["new"] == site.release("previous")
    turn_to(site, site.now)
    played(site.machine, site.inventory, "rollback.yml")
    assert site.release() == upgraded["new"]
    assert (containers(), site.pid("visa-proxy")) == before[:2]
    runs_on(site, alice)


# Certificates ------------------------------------------------------------------------------------------
def serial(site: Site, file: str) -> str:
    return site.machine.said(f"openssl x509 -in {file} -noout -serial")


def test_a_certificate_for_another_name_is_made_anew(site: Site, upgraded):
    certificate = "/etc/visa/tls/site.pem"
    was = serial(site, certificate)
    played(
        site.machine, site.inventory, "site.yml", "--tags", "tls_proxy", "-e", "visa_url=https://other.test"
    )
    assert serial(site, certificate) != was
    names = site.machine.said(f"openssl x509 -in {certificate} -noout -ext subjectAltName")
    assert "DNS:other.test, DNS:*.other.test" in names
    played(site.machine, site.inventory, "site.yml", "--tags", "tls_proxy")
    assert "DNS:visa.test, DNS:*.visa.test" in site.machine.said(
        f"openssl x509 -in {certificate} -noout -ext subjectAltName"
    )


def test_an_engine_at_another_address_gets_a_certificate_for_it(site: Site, upgraded, alice):
    certificate = "/etc/visa/engine/node.pem"
    was = serial(site, certificate)
    words = ["--tags", "gpu_node", "-e", "visa_engine_address=node1.test"]
    played(site.machine, site.inventory, "site.yml", *words)
    assert serial(site, certificate) != was
    assert "DNS:node1.test" in site.machine.said(f"openssl x509 -in {certificate} -noout -ext subjectAltName")
    played(site.machine, site.inventory, "site.yml", "--tags", "gpu_node")
    runs_on(site, alice)


def test_a_given_certificate_has_to_be_for_the_site(site: Site, around, upgraded):
    """One for the name alone would leave each person's own name without."""
    folder = around["folder"]
    script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    script += " -subj /CN=visa.test"
    script += f" -addext subjectAltName=DNS:visa.test -keyout {folder}/given.key -out {folder}/given.pem"
    site.machine.run(script)
    given = ["-e", "visa_tls=given", "-e", f"visa_tls_certificate={folder}/given.pem"]
    given += ["-e", f"visa_tls_key={folder}/given.key", "--tags", "tls_proxy"]
    refused = play(site.machine, site.inventory, "site.yml", *given)
    assert refused.code != 0 and "all names below it" in refused.said, refused.said[-3000:]
    site.machine.run(script.replace("DNS:visa.test", "DNS:visa.test,DNS:*.visa.test"))
    played(site.machine, site.inventory, "site.yml", *given)
    assert "visa.test" in site.machine.said("openssl x509 -in /etc/visa/tls/site.pem -noout -issuer")
    played(site.machine, site.inventory, "site.yml", "--tags", "tls_proxy")
