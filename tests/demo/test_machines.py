"""The demo's plan for virtual machines: where the machine has what it takes, unless nobody wants it."""

import pytest
import yaml

from demo import libvirt, machines
from demo.site import Site
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.profiles.files import load_profiles


def test_the_plan_is_offered_where_libvirt_is(tmp_path, monkeypatch):
    monkeypatch.delenv(machines.VARIABLE, raising=False)
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
    monkeypatch.delenv(machines.VARIABLE, raising=False)
    monkeypatch.setattr(libvirt, "missing", lambda: "diod")
    assert machines.profiles(site) != tmp_path / "profiles"
    monkeypatch.setattr(libvirt, "missing", lambda: "")
    monkeypatch.setattr(machines.shutil, "which", lambda *_, **__: "/there")
    monkeypatch.setenv(machines.VARIABLE, "0")
    assert not machines.offered()
    plans = yaml.safe_load((machines.profiles(site) / "general.yaml").read_text())["plans"]
    assert "machine" not in plans


@pytest.mark.parametrize("software", [True, False])
def test_in_software_none_waits_and_the_plan_says_so(monkeypatch, software):
    monkeypatch.setattr(machines, "in_software", lambda: software)
    plan = machines.plan()
    assert plan.get("pool", 0) == (not software) and ("slow" in plan["title"]) is software
    kind = machines.settings(Site()).LibvirtProvider.virtualization
    assert kind == ("qemu" if software else "kvm")


def test_two_demos_have_networks_of_their_own():
    one, two = (
        LibvirtProvider("demo", config=machines.settings(Site(port=port))).network for port in (8000, 18600)
    )
    assert one != two
