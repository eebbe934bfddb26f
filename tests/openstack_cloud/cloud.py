"""The cloud as tests see it: a project of VISA's in it, and an administrator's hands."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from tests.machine_hub import RECIPE

from .services import DAEMONS, Services, free_port
from .settings import APIS, HOST, PASSWORD, REGION, Places, fill, write

#: The network's addresses; the first is this machine's, on the bridge that tests make.
NETWORK, GATEWAY = "10.214.7.0/24", "10.214.7.1"
DIGEST = f"sha256:{'1' * 64}"
_EVERYTHING = {"network": "visa", "flavors": (("machine", 2, 2048, 10), ("huge", 4000, 2048, 10))}


class Cloud:
    """All services, running; `credentials` is VISA's clouds.yaml, with an application credential."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="vo-"))
        ports = {name: free_port() for name in (*APIS, "rabbit", "epmd", "erlang")}
        self.services = Services(Places(self.folder, ports))
        self.credentials = self.folder / "clouds.yaml"
        self.project = self.user = ""
        self._admin: Any = None

    def start(self) -> Cloud:
        """Start all, with a project that VISA may use; raises RuntimeError."""
        write(self.services.places)
        fill(self.services.places)
        try:
            self.services.start_all()
            self._furnish()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End all, and leave nothing."""
        self.services.stop_all()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Hands ---------------------------------------------------------------------------------------
    @property
    def admin(self) -> Any:
        """openstacksdk's connection of the administrator's."""
        if self._admin is None:
            self._admin = self._connect("admin", PASSWORD, "admin")
        return self._admin

    def _connect(self, user: str, password: str, project: str) -> Any:
        from openstack.config import OpenStackConfig
        from openstack.connection import Connection

        auth = {
            "auth_url": self.services.places.address("keystone"),
            "username": user,
            "password": password,
            "project_name": project,
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        nothing = OpenStackConfig(config_files=[], secure_files=[], vendor_files=[], load_envvars=False)
        return Connection(config=nothing.get_one(auth=auth, region_name=REGION))

    def server(self, name: str) -> dict[str, Any]:
        """A server as nova describes it to an administrator, its user data with it."""
        listed = self.admin.compute.get(
            "/servers/detail", params={"all_tenants": "1", "name": f"^{name}$"}, microversion="2.79"
        ).json()["servers"]
        (found,) = listed
        return found

    def names(self) -> set[str]:
        """The names of all servers, by nova's own records: to ask its API ten times a second costs a core."""
        found = {name for cell in ("nova", "nova_cell0") for name, _ in self._servers(cell)}
        wanted = self._rows("nova_api", "SELECT instance FROM build_requests")
        return found | {json.loads(text)["nova_object.data"]["display_name"] for (text,) in wanted}

    def runs(self, name: str) -> bool:
        """Whether nova says that a server runs, by the same."""
        return (name, "active") in self._servers("nova")

    def _servers(self, database: str) -> list[tuple[str, str]]:
        state = "CASE WHEN task_state IS NULL THEN vm_state ELSE task_state END"
        return self._rows(database, f"SELECT display_name, {state} FROM instances WHERE deleted = 0")

    def _rows(self, database: str, question: str) -> list[tuple]:
        with closing(sqlite3.connect(self.services.places.database(database), timeout=30)) as one:
            return one.execute(question).fetchall()

    def act(self, server: str, **action: Any) -> None:
        """An administrator's action on a server, by its id, such as `os-resetState`."""
        body = {name.replace("_", "-"): value for name, value in action.items()}
        self.admin.compute.post(
            f"/servers/{server}/action", json=body, microversion="2.79"
        ).raise_for_status()

    def quota(self, **values: int) -> None:
        """The project's quota of nova's."""
        answer = self.admin.compute.put(f"/os-quota-sets/{self.project}", json={"quota_set": values})
        answer.raise_for_status()

    def host_takes(self, new: bool) -> None:
        """Whether the one compute host takes new servers."""
        service = next(one for one in self.admin.compute.services(binary="nova-compute"))
        body = {"status": "enabled" if new else "disabled"}
        self.admin.compute.put(
            f"/os-services/{service.id}", json=body, microversion="2.79"
        ).raise_for_status()

    # What there is -------------------------------------------------------------------------------
    def _furnish(self) -> None:
        identity = self.admin.identity
        self.project = identity.create_project(name="visa", domain_id="default").id
        self.user = identity.create_user(name="visa", password="visa", domain_id="default").id
        role = identity.find_role("member")
        identity.assign_project_role_to_user(self.project, self.user, role)
        for name, cpus, memory, disk in _EVERYTHING["flavors"]:
            self.admin.compute.create_flavor(name=name, vcpus=cpus, ram=memory, disk=disk)
        own = self._connect("visa", "visa", "visa")
        credential = own.identity.create_application_credential(self.user, "hub")
        self.write_credentials(credential.id, credential.secret)
        self.image(own, DIGEST)
        network = own.network.create_network(name=_EVERYTHING["network"])
        own.network.create_subnet(
            network_id=network.id, ip_version=4, cidr=NETWORK, gateway_ip=GATEWAY, enable_dhcp=False
        )
        group = own.network.create_security_group(name="visa")
        own.network.create_security_group_rule(
            security_group_id=group.id, direction="ingress", ethertype="IPv4", protocol="tcp"
        )
        self.own = own

    def image(self, connection: Any, digest: str, recipe: str = RECIPE) -> str:
        """An image of a few bytes that says it is of this recipe: its id."""
        made = connection.image.create_image(
            f"visa-{recipe}",
            data=b"no system",
            disk_format="raw",
            container_format="bare",
            visa_recipe=recipe,
            visa_digest=digest,
        )
        return made.id

    def write_credentials(self, number: str, secret: str) -> None:
        """Write clouds.yaml for VISA, readable by its owner alone."""
        auth = {
            "auth_url": self.services.places.address("keystone"),
            "application_credential_id": number,
            "application_credential_secret": secret,
        }
        cloud = {"auth_type": "v3applicationcredential", "auth": auth, "region_name": REGION}
        self.credentials.touch(mode=0o600)
        self.credentials.write_text(yaml.safe_dump({"clouds": {"visa": cloud}}))


__all__ = ["DAEMONS", "DIGEST", "GATEWAY", "HOST", "NETWORK", "RECIPE", "Cloud"]
