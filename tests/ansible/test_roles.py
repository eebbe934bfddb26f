"""What is checked without a machine: Ansible's own linter, and the files of what no machine here can run."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from visa_spawner.backends.nodes import Node
from visa_spawner.backends.slurm.launch import configuration

from .playbook import ANSIBLE, BIN, environment


def test_lint_at_production_profile(tmp_path):
    done = subprocess.run(
        [BIN / "ansible-lint", "--offline", "--profile", "production", "--nocolor", "-q"],
        cwd=ANSIBLE,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_that_is_used_is_explained():
    """In group_vars/all.yml with a comment; not what the vault has or one command is told."""
    text = (ANSIBLE / "group_vars/all.yml").read_text()
    known = set(yaml.safe_load(text))
    used = set()
    for path in ANSIBLE.rglob("*"):
        left_out = {"inventories", "monitoring"} & set(path.parts[:-2]) and "tasks" not in path.parts
        if path.is_file() and not left_out and path.suffix not in (".json", ".pyc"):
            used |= set(re.findall(r"\bvisa_[a-z_]+\b", path.read_text()))
    packages = {path.name for path in ANSIBLE.parent.glob("visa_*")}
    told = {"visa_restore", "visa_restore_keep", "visa_rollback_database", "visa_node"}
    other = {"visa_connection", "visa_jupyterhub", "visa_backup"}
    secrets = {name for name in used if name.startswith("visa_secret")}
    assert used - known - packages - told - other - secrets == set()
    assert known - used == set()
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"visa_\w+:", line):
            above = number - 1
            while re.match(r"visa_\w+:", lines[above]):
                above -= 1  # one comment may be about several
            assert lines[above].startswith("#"), line


@pytest.mark.parametrize("name", ["site", "upgrade", "rollback"])
def test_each_way_to_a_release_brings_its_programs_for_the_cluster(name):
    """The hub's launcher and the nodes' program are one release's: each refuses what it does not know."""
    plays = yaml.safe_load((ANSIBLE / f"{name}.yml").read_text())
    nodes = [play for play in plays if {"role": "slurm_node"} in play.get("roles", [])]
    assert [play["hosts"] for play in nodes] == ["slurm_nodes"]
    wanted = {"name": "slurm_client", "tasks_from": "launcher"}
    tasks = [(play["hosts"], task) for play in plays for task in play.get("tasks", [])]
    assert [where for where, task in tasks if task.get("ansible.builtin.import_role") == wanted] == ["hub"]


@pytest.mark.parametrize("name", ["one-machine", "facility"])
def test_examples_are_whole(name, tmp_path):
    """Every group of site.yml is there, and each node has what the hub is told of it."""
    done = subprocess.run(
        [BIN / "ansible-inventory", "-i", f"inventories/{name}/hosts.yml", "--list"],
        cwd=ANSIBLE,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    plays = yaml.safe_load((ANSIBLE / "site.yml").read_text())
    assert {play["hosts"] for play in plays} <= set(found) | set(found["visa"]["children"])
    for host in found["nodes"]["hosts"]:
        variables = found["_meta"]["hostvars"][host]
        node = variables["visa_node"] | {"network": "published" if name == "facility" else "visa"}
        assert Node.model_validate(node).name == host


#: Files that no machine of the tests can use, with the variables of the facility, and what must be in them.
RENDERED = {
    "libvirt_host/templates/machines.nft.j2": [
        'ip saddr 10.213.0.0/24 oifname "eno1" masquerade',
        "tcp dport { 8443, 32768-60999 } accept",
    ],
    "slurm_client/templates/slurm.json.j2": ['"spool": "/shared/visa/spool/{uid}"', '"hub_id": "visa"'],
    "gpu_node/templates/network.json.j2": ['"network_interface": "sessions0"', '"gateway": "10.214.0.1"'],
}


def test_files_for_what_is_not_here(tmp_path):
    """GPUs, a packet filter's rules, a cluster: rendered, and read by what they are for where it is."""
    rendered = tmp_path / "rendered"
    rendered.mkdir()
    tasks = [
        {
            "ansible.builtin.template": {
                "src": f"{ANSIBLE}/roles/{name}",
                "dest": f"{rendered}/{Path(name).stem}",
            }
        }
        for name in RENDERED
    ]
    book = tmp_path / "rendered.yml"
    play = {"hosts": "hub", "connection": "local", "gather_facts": False, "tasks": tasks}
    book.write_text(yaml.safe_dump([play]))
    interpreter = f"ansible_python_interpreter={sys.executable}"
    shutil.copytree(ANSIBLE / "group_vars", tmp_path / "group_vars")
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", "inventories/facility/hosts.yml", "-e", interpreter, book],
        cwd=ANSIBLE,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, wanted in RENDERED.items():
        text = (rendered / Path(name).stem).read_text()
        assert [line for line in wanted if line not in text] == [], text
    said = json.loads((rendered / "slurm.json").read_text())
    assert configuration.checked(said, "slurm.json").partitions == ("main", "gpu")
