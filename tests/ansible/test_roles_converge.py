"""Roles that a site of one machine has no use for, on a machine: twice, and the second run changes nothing.

Slurm's daemons, KVM and GPUs are not there; what the roles install and write is. For `make deployment-test`.
"""

from __future__ import annotations

import base64
import io
import shutil
import tarfile
from collections.abc import Iterator

import pytest
import yaml

from . import packages
from .machines import Machine, podman
from .playbook import Played, play, played
from .site import Site

pytestmark = pytest.mark.timeout(1500)

ADDRESS = "10.88.250.12"
KEY = base64.b64encode(b"a munge key of the tests" * 8).decode()
SLURM_CONF = "ClusterName=tests\nSlurmctldHost=controller\nNodeName=n1 CPUs=1\nPartitionName=main Nodes=n1\n"
TINY = "localhost/visa/tiny:latest"


@pytest.fixture(scope="module")
def other(site: Site, around) -> Iterator[tuple[Machine, object]]:
    """A machine with the software of the site's, in every group that the site's is not in."""
    machine = Machine("visa-test-roles", ADDRESS)
    options = ["-v", f"{packages.software('roles', of='one')}:/opt/visa"]
    # Two roles set what the kernel does; of its settings, a container has the network's to itself.
    options += ["--security-opt", "unmask=/proc/sys"]
    inventory = site.inventory.with_name("inventory-roles")
    shutil.copytree(site.inventory, inventory)
    one = {"hosts": {machine.name: {}}}
    groups = ("hub", "nodes", "slurm_clients", "slurm_nodes", "libvirt_hosts", "monitoring")
    children = {name: one for name in groups}
    hosts = {"all": {"children": {"visa": {"children": children}}}}
    (inventory / "hosts.yml").write_text(yaml.safe_dump(hosts))
    (inventory / "slurm.conf").write_text(SLURM_CONF)
    extra = {
        "visa_secret_munge_key": KEY,
        "visa_slurm_conf_file": str(inventory / "slurm.conf"),
        "visa_slurm_spool": "/srv/spool",
        "visa_slurm_make_spool": True,
        "visa_prometheus": False,
        "visa_engine_tls": False,
    }
    (inventory / "group_vars/visa/zz.yml").write_text(yaml.safe_dump(extra))
    try:
        machine.start([*site.options, *options])
        machine.run(f"ln -s {site.release()} /opt/visa/current")
        yield machine, inventory
    finally:
        machine.remove()


def twice(machine: Machine, inventory, *words: str, **environment: str) -> Played:
    """Run site.yml, and again: the second time nothing may change. Gives the first."""
    first = played(machine, inventory, "site.yml", *words, **environment)
    again = play(machine, inventory, "site.yml", *words, **environment)
    assert again.code == 0 and again.changed == {machine.name: 0}, again.changes + again.said[-2000:]
    return first


def test_a_clock_that_is_kept_is_left_alone(other):
    machine, inventory = other
    machine.install("chrony")
    twice(machine, inventory, "--tags", "common")
    installed = machine.said("dpkg-query -W -f '${Package} ${db:Status-Status}\\n' chrony systemd-timesyncd")
    assert installed.splitlines()[0] == "chrony installed" and "timesyncd installed" not in installed


def test_slurm_client_and_node(other):
    machine, inventory = other
    twice(machine, inventory, "--tags", "slurm_client,slurm_node")
    assert machine.said("systemctl is-active munge") == "active"
    assert machine.said("munge -n | unmunge | grep -c Success") == "1"
    assert machine.said("base64 -w0 /etc/munge/munge.key") == KEY
    modes = machine.said("stat -c '%a %U' /etc/munge/munge.key /srv/spool")
    assert modes.splitlines() == ["400 munge", "1777 root"]
    assert machine.said("scontrol --version").startswith("slurm")
    # Both programs begin, and refuse what makes no sense.
    for program in ("/usr/local/sbin/visa-slurm-launch", "/usr/local/libexec/visa-slurm-node"):
        done = machine.run(f"{program} </dev/null", check=False)
        assert done.returncode not in (0, 126, 127) and "Traceback" not in done.stderr, done.stderr
    assert machine.said("bwrap --version").startswith("bubblewrap")


def test_libvirt_host(other):
    machine, inventory = other
    twice(machine, inventory, "--tags", "libvirt_host")
    assert machine.said("systemctl is-active visa-machines libvirtd.socket").split() == ["active"] * 2
    rules = machine.said("nft list table inet visa")
    assert "masquerade" in rules and 'iifname "visa*" drop' in rules
    assert machine.said("virsh -c qemu:///system version --daemon | grep -c 'Running against daemon'") == "1"


def test_monitoring_for_a_prometheus_elsewhere(other):
    machine, inventory = other
    twice(machine, inventory, "--tags", "monitoring")
    assert "visa.rules.yml" in machine.said("cat /etc/visa/monitoring/prometheus.yml")
    assert machine.run("command -v prometheus", check=False).returncode != 0


@pytest.fixture
def archive(around) -> Iterator[object]:
    """An archive of a tiny image, as the machine that builds has saved it."""
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


def test_images_from_an_archive(other, around, archive):
    """The machine's podman hands everything to this machine's, for in a container it cannot run any."""
    machine, inventory = other
    profiles = around["folder"] / "profiles-tiny"
    shutil.copytree(inventory / "profiles", profiles)
    profile = profiles / "general.yaml"
    profile.write_text(profile.read_text().replace("image: general", "image: tiny"))
    words = ["--tags", "gpu_node,images", "-e", f"visa_profiles={profiles}", "-e", "visa_images_from=archive"]
    words += ["-e", f"visa_images_folder={archive}"]
    engine = {"CONTAINER_HOST": f"unix://{around['engine']}"}
    refused = play(machine, inventory, "site.yml", *words, "-e", "visa_images=['base']", **engine)
    assert refused.code != 0 and "wants the image tiny" in refused.said, refused.said[-3000:]
    twice(machine, inventory, *words, "-e", "visa_images=['tiny']", **engine)
    assert podman("image", "exists", TINY, check=False).returncode == 0


def test_images_that_are_built_from_the_recipes_in_the_package(other, around):
    """They are the tree's own: the engine has them from there already, and nothing is built anew."""
    machine, inventory = other
    words = ["--tags", "images", "-e", "visa_images_from=build"]
    engine = {"CONTAINER_HOST": f"unix://{around['engine']}"}
    named = ("images", "--no-trunc", "--format", "{{.ID}}", "localhost/visa/general:latest")
    before = podman(*named).stdout
    twice(machine, inventory, *words, **engine)
    machine.run("test -f /opt/visa/source/images/general/recipe.yaml")
    assert before and podman(*named).stdout == before
