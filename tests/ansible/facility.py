"""A facility around a machine: people with homes, one experiment, the demo's login provider, an inventory.

The provider listens on this machine alone, as a browser here sees it. In the machine the same address is a
line to it: a listener that was opened in its network, and whose connections are made in ours.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

import yaml

from demo.facility.people import PEOPLE, claims
from demo.node import PROVIDER, node
from images.engine import podman_environment

from .machines import Machine, podman
from .playbook import ANSIBLE, BIN, ROOT, environment, played

URL = "https://visa.test"
DATA = Path("/data/visa-test-deployment")
HUB_ID = "test-deployment"
EXPERIMENT = "hg1-id19-20260101"
#: Groups that everybody is in beside their own, where a provider is told so.
GIDS = (30019, 30020)
PASSWORD = "a-password-for-tests"
CLIENT_SECRET = "client-secret-of-the-tests"
SERVICE_TOKEN = secrets.token_hex(32)
MUNGE_KEY = base64.b64encode(b"a munge key of the tests" * 8).decode()
#: A cluster that is not there: its controller never answers.
SLURM_CONF = "ClusterName=tests\nSlurmctldHost=controller\nNodeName=n1 CPUs=1\nPartitionName=main Nodes=n1\n"
#: The groups of a machine that is everything at once, so that it has every role.
GROUPS = (
    *("hub", "database", "nodes", "monitoring"),
    *("slurm_clients", "slurm_nodes", "libvirt_hosts"),
)
CLONE_NEWNET = 0x40000000


def people(homes: Path, gids: Sequence[int] = ()) -> dict[str, dict]:
    """Accounts, as the provider keeps them: two of a team, somebody of the helpdesk, an administrator."""
    team = ("alice", "bob")
    return {
        one.username: {
            "password": PASSWORD,
            **claims(one, homes, gids, [EXPERIMENT] if one.username in team else []),
        }
        for one in PEOPLE
        if one.username in (*team, "hugo", "ada")
    }


def make_data(place: Path = DATA) -> None:
    """Homes and one experiment's folders, with owners and modes as a facility has them."""
    shutil.rmtree(place, ignore_errors=True)
    for one in PEOPLE:
        home = place / "home" / one.username
        home.mkdir(parents=True)
        os.chown(home, one.uid, one.gid)
        home.chmod(0o700)
    for name in ("raw", "processed"):
        (place / "visitor" / name).mkdir(parents=True)
    (place / "visitor/raw/scan.txt").write_text("raw data\n")
    (place / "visitor/processed").chmod(0o777)


def catalogue() -> list[dict]:
    return [
        {
            "id": EXPERIMENT,
            "title": "A tooth",
            "proposal": "hg1",
            "instrument": "id19",
            "start": "2026-01-01",
            "end": "2026-01-03",
            "team": ["alice", "bob"],
            "raw": str(DATA / "visitor/raw"),
            "processed": str(DATA / "visitor/processed"),
        }
    ]


#: What the node has, and where sessions are reached there.
SIZE = {"network": "podman", "cpus": 8, "memory": "12G"}
ENGINE_TLS = {"ca": "authority.pem", "cert": "hub.pem", "key": "hub.key"}
SETTINGS = f"""
c = get_config()
# The machine is a container that may not mount: the node is the host's engine, where paths are checked alone.
c.VisaSite.pin_binds = False
# And that one has no cluster, whose files sessions would have.
c.ClusterAccess.binds = []
c.ClusterAccess.environment = {{}}
c.JupyterHub.services.append({{"name": "tests", "api_token": "{SERVICE_TOKEN}", "admin": True}})
"""


def write_inventory(
    folder: Path, machine: Machine, source: Path, engine: Path, port: int, extra: dict | None = None
) -> Path:
    """An inventory for one machine in every group; its secrets, made by secrets.yml, are in a vault."""
    place = folder / "inventory"
    variables, profiles = place / "group_vars/visa", place / "profiles"
    for one in (variables, profiles):
        one.mkdir(parents=True)
    shutil.copy(ANSIBLE / "inventories/one-machine/profiles/general.yaml", profiles)
    one = {"hosts": {machine.name: {}}}
    groups = {name: one for name in GROUPS}
    (place / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": {"visa": {"children": groups}}}}))
    (place / "experiments.yaml").write_text(yaml.safe_dump(catalogue()))
    (place / "settings.py").write_text(SETTINGS)
    (place / "slurm.conf").write_text(SLURM_CONF)
    site = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "/usr/bin/python3",
        "visa_source": str(source),
        "visa_environment": {
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "/wheels",
            "NPM_CONFIG_CACHE": "/npm",
            "NPM_CONFIG_OFFLINE": "true",
            **engine_environment(engine),
        },
        "visa_extras": "hub",  # libvirt's binding would take a compiler
        "visa_url": URL,
        "visa_facility": "Test Light Source",
        "visa_issuer": f"http://login.localhost:{port}",
        "visa_home_roots": [str(DATA / "home")],
        "visa_logout_of_provider": False,
        "visa_catalogue_file": str(place / "experiments.yaml"),
        "visa_settings_file": str(place / "settings.py"),
        "visa_profiles": str(profiles),
        "visa_hub_id": HUB_ID,
        "visa_hub_address": machine.address,
        "visa_nodes": [
            {
                "name": "node1",
                "engine": f"tcp://{machine.address}:2376",
                "tls": {name: f"/etc/visa/engines/{file}" for name, file in ENGINE_TLS.items()},
                **SIZE,
            }
        ],
        "visa_network_subnet": "10.214.0.0/24",
        "visa_engine_address": machine.address,
        "visa_engine_tls": True,
        # Podman does not run in a container that may not mount. So the engine is this machine's own.
        "visa_engine_socket": str(engine),
        # That engine has the recipes' images from this tree, and nothing is built anew.
        "visa_images": ["general"],
        "visa_images_from": "build",
        "visa_slurm_conf_file": str(place / "slurm.conf"),
        "visa_slurm_spool": "/srv/spool",
        "visa_slurm_make_spool": True,
        "visa_slurm_partitions": ["main"],
        **(extra or {}),
    }
    (variables / "site.yml").write_text(yaml.safe_dump(site))
    (place / "password").write_text("password of the vault\n")
    played(machine, place, "secrets.yml")
    vault = variables / "vault.yml"
    text = vault.read_text().replace('oauth_client: ""', f"oauth_client: {CLIENT_SECRET}")
    vault.write_text(text.replace('munge_key: ""', f"munge_key: {MUNGE_KEY}"))
    subprocess.run(
        [BIN / "ansible-vault", "encrypt", "--vault-password-file", place / "password", vault],
        env=environment(folder / "ansible-home"),
        check=True,
        capture_output=True,
    )
    return place


def engine_environment(engine: Path) -> dict[str, str]:
    """For a machine's podman, which hands what it is told to this machine's."""
    return {"CONTAINER_HOST": f"unix://{engine}"}


def start_provider(
    folder: Path, port: int, homes: Path = DATA / "home", gids: Sequence[int] = ()
) -> subprocess.Popen:
    """The demo's OpenID Connect provider, for the site's hub; `homes` is what it says people's are below."""
    (folder / "accounts.json").write_text(json.dumps(people(homes, gids)))
    settings = {
        "issuer": f"http://login.localhost:{port}",
        "port": port,
        "client_id": "visa",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": [f"{URL}/hub/oauth_callback"],
        "accounts": str(folder / "accounts.json"),
    }
    (folder / "provider.json").write_text(json.dumps(settings))
    log = (folder / "provider.log").open("wb")
    command = [str(node()), str(PROVIDER), str(folder / "provider.json")]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT)


class Line:
    """`port` of 127.0.0.1 in a machine's network, carried to the same port here."""

    def __init__(self, machine: Machine, port: int):
        pid = podman("inspect", "--format", "{{.State.Pid}}", machine.name).stdout.strip()
        self.port = port
        self.listener = self._open(f"/proc/{pid}/ns/net")
        threading.Thread(target=self._serve, daemon=True).start()

    def _open(self, there: str) -> socket.socket:
        """A listener in another network namespace.

        A thread of its own enters that; a socket stays where it was made.
        """
        found: list[socket.socket | OSError] = []

        def enter() -> None:
            try:
                with open(there) as namespace:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(socket.create_server(("127.0.0.1", self.port)))
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return  # closed
            other = socket.create_connection(("127.0.0.1", self.port))
            for source, target in ((one, other), (other, one)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # either end is gone, and so is the line


def start_engine(folder: Path) -> tuple[subprocess.Popen, Path]:
    """This machine's podman on a socket, as the node that sessions run on."""
    path = folder / "engine" / "podman.sock"
    path.parent.mkdir()
    process = subprocess.Popen(
        ["podman", "system", "service", "--time=0", f"unix://{path}"],
        env=podman_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return process, path


def remove_sessions() -> None:
    """The site's containers, whatever became of it."""
    left = podman("ps", "-aq", "--filter", f"label=visa.hub={HUB_ID}").stdout.split()
    if left:
        podman("rm", "--force", "--time", "0", *left)
