"""Every role, on the site's machine, which is in every group: what the runs of site.yml have left there.

That nothing changes the second time is test_one_machine.py's to see. Slurm's daemons, KVM and GPUs are not
there; what the roles install and write is. What an inventory may say otherwise: test_otherwise.py.
"""

from __future__ import annotations

import json
import re

from . import facility
from .machines import podman
from .playbook import ANSIBLE
from .site import Site


def test_all_of_them_are_played(runs):
    roles = {path.name for path in (ANSIBLE / "roles").iterdir() if path.is_dir()}
    for run in ("first", "again"):
        assert set(re.findall(r"^TASK \[(\w+) : ", runs[run].said, re.MULTILINE)) == roles


def test_slurm_client_and_node(site: Site):
    machine = site.machine
    assert machine.said("systemctl is-active munge") == "active"
    assert machine.said("munge -n | unmunge | grep -c Success") == "1"
    assert machine.said("base64 -w0 /etc/munge/munge.key") == facility.MUNGE_KEY
    modes = machine.said("stat -c '%a %U' /etc/munge/munge.key /srv/spool")
    assert modes.splitlines() == ["400 munge", "1777 root"]
    assert machine.said("scontrol --version").startswith("slurm")
    assert json.loads(machine.said("cat /etc/visa/slurm.json"))["partitions"] == ["main"]
    # Both programs begin, and refuse what makes no sense.
    assert json.loads(machine.said("visa-slurm-launch </dev/null"))["refused"] == "request"
    alone = machine.run("/usr/local/libexec/visa-slurm-node", check=False)
    assert alone.returncode and alone.stderr.startswith("visa-slurm-node: This program is started by a job")
    assert machine.said("bwrap --version").startswith("bubblewrap")


def test_libvirt_host(site: Site):
    machine = site.machine
    assert machine.said("systemctl is-active visa-machines libvirtd.socket").split() == ["active"] * 2
    rules = machine.said("nft list table inet visa")
    assert "masquerade" in rules and 'iifname "visa*" drop' in rules
    assert machine.said("cat /proc/sys/net/ipv4/ip_forward") == "1"
    assert "Running against daemon" in machine.said("virsh -c qemu:///system version --daemon")


def test_images_come_from_the_recipes_in_the_package(site: Site, runs):
    """They are the tree's own: the engine has them from there already, and nothing was built anew."""
    machine = site.machine
    recipe = "from images.recipe import Recipe; print(Recipe('general', 'bookworm').hash)"
    wanted = machine.said(f'cd /opt/visa/source && /usr/bin/python3 -c "{recipe}"')
    label = '{{index .Config.Labels "org.visa.recipe"}}'
    there = podman("image", "inspect", "--format", label, "localhost/visa/general:latest")
    assert there.stdout.strip() == wanted
    played = re.search(r"TASK \[images : Build what has changed\].*\n(\w+): ", runs["first"].said)
    assert played and played[1] == "ok", played
