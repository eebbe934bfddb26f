"""Where the demo's parts stand: ports, folders, addresses and the secrets made at the first start."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from .cluster.layout import Cluster

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Site:
    """One demo facility. `port` is the public one; the inner parts take the four ports above it, and the
    cluster six from the tenth on."""

    port: int = 8000
    run: Path = ROOT / "demo/run"
    data: Path = Path("/data/visitor")
    homes: Path = Path("/data/home")

    @classmethod
    def from_environment(cls) -> Site:
        """Settings from `VISA_DEMO_PORT`, `_RUN`, `_DATA` and `_HOMES`.

        Raises SystemExit with the variable's name when one makes no sense.
        """
        text = os.environ.get("VISA_DEMO_PORT", "8000")
        if not text.isdecimal() or not 1024 <= int(text) <= 65000:
            raise SystemExit(f"VISA_DEMO_PORT must be a port between 1024 and 65000, not {text!r}")
        folders = {}
        for name, default in (("run", cls.run), ("data", cls.data), ("homes", cls.homes)):
            folder = Path(os.environ.get(f"VISA_DEMO_{name.upper()}", default))
            if not folder.is_absolute():
                raise SystemExit(f"VISA_DEMO_{name.upper()} must be an absolute path, not {str(folder)!r}")
            folders[name] = folder
        return cls(port=int(text), **folders)

    @property
    def host(self) -> str:
        """Public name; sessions live below it (`alice.localhost`), which browsers resolve by themselves."""
        return "localhost"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def portal_url(self) -> str:
        """The portal as browsers see it; the hub gives each service a host of its own."""
        return f"http://visa--service.{self.host}:{self.port}/services/visa/"

    @property
    def issuer(self) -> str:
        """The OpenID Connect provider, on a name of its own so that its cookies are nobody else's."""
        return f"http://login.localhost:{self.port + 1}"

    @property
    def hub_port(self) -> int:
        return self.port + 2

    @property
    def proxy_api_port(self) -> int:
        return self.port + 3

    @property
    def portal_port(self) -> int:
        return self.port + 4

    @property
    def ports(self) -> tuple[int, ...]:
        """All that the parts listen on, lowest first."""
        inner = range(self.port, self.port + 5)
        return (*inner, *range(self.cluster_port, self.cluster_port + Cluster.PORTS))

    @property
    def bridge(self) -> str:
        """This machine's address on podman's own network, where sessions reach the hub."""
        return "10.88.0.1"

    @property
    def hub_api(self) -> str:
        """The hub's REST API, where only this machine and its sessions reach it."""
        return f"http://{self.bridge}:{self.hub_port}/hub/api"

    @property
    def inside(self) -> Path:
        """Folder of the authority by which proxy, hub and sessions know each other."""
        return self.run / "inside"

    @property
    def gpus(self) -> Path:
        """Folder of the made-up GPUs."""
        return self.staging.with_name(f"{self.hub_id}-gpus")

    @property
    def hub_id(self) -> str:
        """Label on all that this demo's hub makes, so that two demos never touch each other's."""
        return f"demo-{self.port}"

    @property
    def engine_socket(self) -> Path:
        return self.run / "podman.sock"

    @property
    def admin_socket(self) -> Path:
        """Where the login provider lets root block an account; see `demo.blocking`."""
        return self.run / "provider-admin.sock"

    @property
    def cluster(self) -> Path:
        """Folder of the cluster, which every account must be able to enter."""
        return Path("/var/lib/visa") / self.hub_id / "cluster"

    @property
    def cluster_port(self) -> int:
        """The first of the cluster's ports."""
        return self.port + 10

    @property
    def launcher(self) -> Path:
        """The program that starts jobs; beside it stand its settings, the node program and the spool."""
        return self.cluster.with_name("programs") / "visa-slurm-launch"

    @property
    def images(self) -> Path:
        """Images as directory trees, for the cluster's nodes; the same for all demos and tests here."""
        return Path("/var/lib/visa/images")

    @property
    def staging(self) -> Path:
        """Where data are pinned before the engine gets them; on /run, since no mount outlives a boot."""
        return Path("/run/visa") / self.hub_id

    def secret(self, name: str) -> str:
        """A secret of this site, made at its first use and kept in the run folder, mode 0600."""
        path = self.run / "secrets.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if name not in known:
            known[name] = secrets.token_hex(32)
            write_private(path, known)
        return known[name]


def write_private(path: Path, content: dict) -> None:
    """Write JSON that only root may read, whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=1)
    new.replace(path)
