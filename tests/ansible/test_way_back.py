"""What does not go as it should: turned back, refused, rolled back; certificates for other names.

On the site that test_one_machine.py has used and upgraded: the two run together. For `make deployment-test`.
"""

from __future__ import annotations

import pytest

from .playbook import play, played
from .site import Site
from .test_one_machine import containers, runs_on

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
    assert "visa_secret" not in looked.said


def test_going_back_is_one_command(site: Site, upgraded, alice):
    before = containers(), site.pid("visa-proxy")
    played(site.machine, site.inventory, "rollback.yml")
    assert site.release() == upgraded["old"]
    assert (containers(), site.pid("visa-proxy")) == before
    runs_on(site, alice)


def test_a_release_whose_database_differs_is_not_rolled_back_unasked(site: Site, upgraded):
    """The two releases here want the same of it: one is made to say otherwise."""
    mark = f"/opt/visa/{upgraded['new']}/release.json"
    was = site.machine.said(f"cat {mark}")
    site.machine.run(f"ln -sfn {upgraded['new']} /opt/visa/previous")
    site.machine.run(f'sed -i \'s/"schema": "/&another /\' {mark}')
    refused = play(site.machine, site.inventory, "rollback.yml")
    site.machine.run(f"cat > {mark} <<'E'\n{was}\nE")
    assert refused.code != 0 and "visa_rollback_database=true" in refused.said
    assert site.release() == upgraded["old"]
    assert site.machine.said("systemctl is-active visa-hub") == "active"


def test_an_upgrade_that_fails_is_turned_back(site: Site, upgraded, alice):
    """Its migration fails: the release before runs again, with its settings, and the session is there."""
    program = f"/opt/visa/{upgraded['new']}/venv/bin/jupyterhub"
    site.machine.run(f"mv {program} {program}.whole && ln -s /bin/false {program}")
    settings = site.inventory / "group_vars/visa/site.yml"
    was = settings.read_text()
    settings.write_text(was.replace("Test Light Source", "Another Light Source"))
    failed = play(site.machine, site.inventory, "upgrade.yml")
    settings.write_text(was)
    site.machine.run(f"mv {program}.whole {program}")
    assert failed.code != 0 and "the release before runs again" in failed.said, failed.said[-3000:]
    assert site.release() == upgraded["old"]
    assert "Test Light Source" in site.machine.said("cat /etc/visa/site.env")
    runs_on(site, alice)


def test_one_that_does_not_come_up_is_turned_back(site: Site, upgraded, alice):
    """Its migration ends well; then the hub is to listen where it cannot."""
    settings = site.inventory / "settings.py"
    was = settings.read_text()
    settings.write_text(was + "c.JupyterHub.hub_bind_url = 'http://192.0.2.1:8081'\n")
    failed = play(site.machine, site.inventory, "upgrade.yml")
    settings.write_text(was)
    assert failed.code != 0 and "the release before runs again" in failed.said, failed.said[-3000:]
    assert site.release() == upgraded["old"]
    assert "192.0.2.1" not in site.machine.said("cat /etc/visa/jupyterhub_config.d/50-facility.py")
    runs_on(site, alice)


def test_it_can_be_upgraded_after_all_that(site: Site, upgraded, alice):
    played(site.machine, site.inventory, "upgrade.yml")
    assert site.release() == upgraded["new"]
    again = play(site.machine, site.inventory, "site.yml")
    assert again.changed == {site.machine.name: 0}, again.changes
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
