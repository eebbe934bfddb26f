"""What the roles do where an inventory says otherwise, on the site's machine. For `make deployment-test`."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Iterator

import pytest

from . import facility
from .machines import podman
from .playbook import play, played
from .site import Site

pytestmark = pytest.mark.timeout(1500)

TINY = "localhost/visa/tiny:latest"


def twice(site: Site, *words: str, **environment: str) -> None:
    """Run site.yml, and again: the second time nothing may change."""
    played(site.machine, site.inventory, "site.yml", *words, **environment)
    again = play(site.machine, site.inventory, "site.yml", *words, **environment)
    assert again.code == 0 and again.changed == {site.machine.name: 0}, again.changes + again.said[-2000:]


def test_monitoring_for_a_prometheus_elsewhere(site: Site):
    twice(site, "--tags", "monitoring", "-e", "visa_prometheus=false")
    assert "visa.rules.yml" in site.machine.said("cat /etc/visa/monitoring/prometheus.yml")
    assert site.machine.said("stat -c %G /etc/visa/monitoring/token") == "root"
    twice(site, "--tags", "monitoring")
    assert site.machine.said("stat -c %G /etc/visa/monitoring/token") == "prometheus"


def test_a_profile_with_a_mistake_restarts_no_hub(site: Site):
    """Whoever works goes on; the profile is named with its line. Once it is right, the hub has it."""
    profile, pid = site.inventory / "profiles/general.yaml", site.pid("visa-hub")
    was = profile.read_text()
    profile.write_text(was.replace("title:", "titel:", 1))
    refused = play(site.machine, site.inventory, "site.yml", "--tags", "hub")
    profile.write_text(was)
    assert refused.code != 0 and "general.yaml, line" in refused.said, refused.said[-3000:]
    assert site.pid("visa-hub") == pid
    twice(site, "--tags", "hub")


@pytest.fixture
def archives(around) -> Iterator[object]:
    """A folder with the archive of a tiny image, as the machine that builds has saved it."""
    folder = around["folder"] / "archives"
    folder.mkdir()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("a-file"))
    podman("import", "-", TINY, stdin=content.getvalue())
    podman("save", TINY, "-o", str(folder / "tiny.tar"))
    podman("rmi", TINY)
    yield folder
    podman("rmi", TINY, check=False)


def test_images_from_an_archive(site: Site, around, archives):
    """The machine's podman hands everything to this machine's, for in a container it cannot run any."""
    profiles = around["folder"] / "profiles-tiny"
    shutil.copytree(site.inventory / "profiles", profiles)
    profile = profiles / "general.yaml"
    profile.write_text(profile.read_text().replace("image: general", "image: tiny"))

    def words(image: str, *more: str) -> list[str]:
        told = {"visa_profiles": str(profiles), "visa_images": [image]}
        told |= {"visa_images_from": "archive", "visa_images_folder": str(archives)}
        return ["--tags", "images", "-e", json.dumps(told), *more]

    engine = facility.engine_environment(around["engine"])
    refused = play(site.machine, site.inventory, "site.yml", *words("base"), **engine)
    assert refused.code != 0 and "wants the image tiny" in refused.said, refused.said[-3000:]
    looked = play(site.machine, site.inventory, "site.yml", *words("tiny", "--check"), **engine)
    assert looked.code == 0 and looked.changed[site.machine.name] > 0, looked.said[-3000:]
    twice(site, *words("tiny"), **engine)
    assert podman("image", "exists", TINY, check=False).returncode == 0
    looked = play(site.machine, site.inventory, "site.yml", *words("tiny", "--check"), **engine)
    assert looked.code == 0 and looked.changed == {site.machine.name: 0}, looked.said[-3000:]
