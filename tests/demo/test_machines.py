"""The demo's plan for virtual machines: where it is asked for and the machine has what it takes."""

import yaml

from demo import libvirt, machines
from demo.site import Site
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.profiles.files import load_profiles


def test_the_plan_is_offered_where_libvirt_is(tmp_path, monkeypatch):
    monkeypatch.setenv(machines.VARIABLE, "1")
    monkeypatch.setattr(libvirt, "missing", lambda: "")
    monkeypatch.setattr(machines.shutil, "which", lambda *_, **__: "/there")
    site = Site(run=tmp_path)
    folder = machines.profiles(site)
    assert folder == tmp_path / "profiles"
    known = load_profiles(str(folder), {"container", "slurm", "vm"})
    assert known["general"].plans["machine"].backend == "vm"
    assert known["general"].plans["small"].warm, "all else is as it was"
    assert "machine" not in known["tomography"].plans


def test_it_is_not_where_something_lacks_or_nobody_wants_it(tmp_path, monkeypatch):
    site = Site(run=tmp_path)
    monkeypatch.setenv(machines.VARIABLE, "1")
    monkeypatch.setattr(libvirt, "missing", lambda: "diod")
    assert machines.profiles(site) != tmp_path / "profiles"
    monkeypatch.setattr(libvirt, "missing", lambda: "")
    monkeypatch.setattr(machines.shutil, "which", lambda *_, **__: "/there")
    monkeypatch.delenv(machines.VARIABLE)
    assert not machines.offered()
    plans = yaml.safe_load((machines.profiles(site) / "general.yaml").read_text())["plans"]
    assert "machine" not in plans


def test_two_demos_have_networks_of_their_own():
    one, two = (
        LibvirtProvider("demo", config=machines.settings(Site(port=port))).network for port in (8000, 18600)
    )
    assert one != two
