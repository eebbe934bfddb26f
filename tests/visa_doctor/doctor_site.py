"""A whole site of real parts: provider, engine, proxy, portal, and a hub by jupyterhub_config.py itself."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

import httpx
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
for room in ("visa_authenticator", "visa_spawner/backends", "visa_sharing"):
    sys.path.insert(0, str(HERE.parent / room))

import engines  # noqa: E402
from facility import Provider, free_port  # noqa: E402

from demo import node  # noqa: E402
from visa_doctor.finding import Finding, Verdict  # noqa: E402
from visa_doctor.installation import Installation  # noqa: E402
from visa_doctor.looking import examine  # noqa: E402
from visa_doctor.table import CHECKS  # noqa: E402

#: As the hub of the tests has them; each test's own come after.
SETTINGS = """
import os
c = get_config()
site = {site!r}
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = site["hub"]
c.WatchedProxy.api_url = site["proxy_api"]
c.JupyterHub.db_url = "sqlite:///" + site["folder"] + "/hub.sqlite"
c.JupyterHub.cookie_secret_file = site["folder"] + "/cookie_secret"
c.VisaAuthenticator.client_id = "visa"
c.VisaAuthenticator.scope = ["openid", "profile", "email", "facility"]
c.VisaAuthenticator.uid_register = site["folder"] + "/uids.sqlite"
c.VisaSharing.events_file = site["folder"] + "/events.jsonl"
c.VisaSite.profiles_dir = site["folder"] + "/profiles"
c.VisaSite.staging_dir = site["folder"] + "/staging"
c.VisaSite.disks = [site["folder"]]
c.ContainerBackend.hub_id = site["hub_id"]
c.ContainerBackend.nodes = [
    {{"name": "node1", "engine": site["engine"], "network": site["network"], "cpus": 2, "memory": "2G"}}
]
c.JupyterHub.services.append({{"name": "metrics", "api_token": os.environ["VISA_METRICS_TOKEN"]}})
c.JupyterHub.load_roles.append(
    {{"name": "metrics", "services": ["metrics"], "scopes": ["read:metrics"]}}
)
"""

#: What the hub has and the doctor is not shown: backends that nobody answers for, to have all figures.
MORE_FOR_THE_HUB = """
c = get_config()
site = {site!r}
c.VisaSite.profiles_dir = site["folder"] + "/profiles-of-the-hub"
c.SlurmBackend.hub_id = c.VMSpawner.hub_id = site["hub_id"]
c.SlurmBackend.slurm_conf = site["folder"] + "/slurm.conf"
c.SlurmBackend.client = "commands"
c.LibvirtProvider.uri = "qemu+unix:///system?socket=/nonexistent"
"""

#: A cluster whose controller nobody has started.
SLURM_CONF = "ClusterName=x\nSlurmctldHost=localhost\nSlurmctldPort=9\nAuthType=auth/munge\nNodeName=n1\n"

PLAN = {"title": "1 core", "backend": "container", "cpus": 1, "memory": "1G"}


def profile(name: str = "general", **plans) -> dict:
    return {
        "name": name,
        "title": name.title(),
        "image": engines.RECIPE,
        "lifetime": {"default_hours": 1, "max_hours": 4},
        "plans": plans or {"small": PLAN},
    }


def write_profile(folder: Path, **fields) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{fields['name']}.yaml").write_text(yaml.safe_dump(fields, sort_keys=False))


class DoctorSite:
    """The running site; `folder` is root's own: data are bound only where nobody else may write above."""

    def __init__(self, folder: Path, engine: engines.RunningEngine):
        self.folder, self.engine = folder, engine
        self.port, self.hub_port, self.api_port, self.portal_port = (free_port() for _ in range(4))
        self.url = f"http://localhost:{self.port}"
        secret = secrets.token_hex(32)
        self.provider = Provider(folder, f"{self.url}/hub/oauth_callback", secret)
        self.processes: dict[str, subprocess.Popen] = {}
        self.secrets = {
            "JUPYTERHUB_CRYPT_KEY": secrets.token_hex(32),
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(32),
            "OAUTH_CLIENT_SECRET": secret,
            "VISA_PORTAL_TOKEN": secrets.token_hex(32),
            "VISA_METRICS_TOKEN": secrets.token_hex(32),
        }
        self.names = {
            "VISA_URL": self.url,
            "VISA_ISSUER": self.provider.issuer,
            "VISA_CATALOGUE": f"file://{folder}/experiments.yaml",
            "VISA_FACILITY": "Test facility",
            "VISA_PORTAL_ADDRESS": f"http://127.0.0.1:{self.portal_port}",
            "VISA_CONFIG_D": str(folder / "jupyterhub_config.d"),
        }

    @property
    def hub(self) -> str:
        return f"http://127.0.0.1:{self.hub_port}"

    @property
    def config(self) -> Path:
        return self.folder / "jupyterhub_config.py"

    @property
    def environment_file(self) -> Path:
        return self.folder / "hub.env"

    # Making it ---------------------------------------------------------------------------------------
    def furnish(self) -> None:
        shutil.copy(ROOT / "jupyterhub_config.py", self.config)
        told = {
            "folder": str(self.folder),
            "hub": self.hub,
            "proxy_api": f"http://127.0.0.1:{self.api_port}",
            "engine": self.engine.address,
            "network": self.engine.network,
            "hub_id": engines.HUB,
        }
        for name, more in (("jupyterhub_config.d", ""), ("config-of-the-hub", MORE_FOR_THE_HUB)):
            (self.folder / name).mkdir()
            (self.folder / name / "10-site.py").write_text(SETTINGS.format(site=told))
            if more:
                (self.folder / name / "20-more.py").write_text(more.format(site=told))
        lines = [f"{name}={value}\n" for name, value in (self.names | self.secrets).items()]
        self.environment_file.write_text("# of the test\n" + "".join(lines))
        self.environment_file.chmod(0o600)
        (self.folder / "cookie_secret").write_text(secrets.token_hex(32) + "\n")
        (self.folder / "cookie_secret").chmod(0o600)
        (self.folder / "slurm.conf").write_text(SLURM_CONF)
        write_profile(self.folder / "profiles", **profile())
        elsewhere = {name: PLAN | {"backend": name} for name in ("slurm", "vm")}
        write_profile(self.folder / "profiles-of-the-hub", **profile(small=PLAN, **elsewhere))
        self.write_catalogue([self.experiment("ma-1")])

    def experiment(self, name: str, **fields) -> dict:
        """An experiment of last week, with its directories."""
        place, began = self.folder / "visitor" / name, date.today() - timedelta(days=7)
        for part in ("RAW_DATA", "PROCESSED_DATA"):
            (place / part).mkdir(parents=True, exist_ok=True)
        return {
            "id": name,
            "title": f"About {name}",
            "proposal": name,
            "instrument": "id19",
            "start": began.isoformat(),
            "end": began.isoformat(),
            "raw": str(place / "RAW_DATA"),
            "processed": str(place / "PROCESSED_DATA"),
        } | fields

    def write_catalogue(self, experiments: list[dict]) -> None:
        (self.folder / "experiments.yaml").write_text(yaml.safe_dump(experiments))

    # Running it --------------------------------------------------------------------------------------
    def run(self, name: str, command: list[str], **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=self.folder,
                env=kept | {"PYTHONPATH": str(ROOT)} | self.names | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )

    def start_proxy(self) -> None:
        node.install()
        command = [*node.proxy(), "--ip", "127.0.0.1", "--port", str(self.port), "--host-routing"]
        command += ["--api-ip", "127.0.0.1", "--api-port", str(self.api_port)]
        self.run("proxy", command, CONFIGPROXY_AUTH_TOKEN=self.secrets["CONFIGPROXY_AUTH_TOKEN"])

    def start_portal(self) -> None:
        self.run(
            "portal",
            [sys.executable, "-m", "visa_portal.app"],
            JUPYTERHUB_API_TOKEN=self.secrets["VISA_PORTAL_TOKEN"],
            JUPYTERHUB_API_URL=f"{self.hub}/hub/api",
            JUPYTERHUB_SERVICE_URL=f"http://127.0.0.1:{self.portal_port}",
            JUPYTERHUB_PUBLIC_URL=f"http://visa--service.localhost:{self.port}/services/visa/",
            JUPYTERHUB_PUBLIC_HUB_URL=f"{self.url}/hub/",
        )

    def start(self) -> None:
        self.furnish()
        self.provider.save()
        self.provider.start()
        self.start_proxy()
        self.start_portal()
        more = {"VISA_CONFIG_D": str(self.folder / "config-of-the-hub")}
        self.run(
            "hub", [sys.executable, "-m", "tests.lean_hub", "-f", str(self.config)], **self.secrets, **more
        )
        for url in (f"{self.hub}/hub/health", f"{self.portal}health", f"{self.url}/hub/health"):
            self.until(lambda url=url: self.status(url) == 200, f"{url} is well")

    @property
    def portal(self) -> str:
        return f"http://127.0.0.1:{self.portal_port}/services/visa/"

    def status(self, url: str) -> int:
        with suppress(httpx.HTTPError):
            return httpx.get(url, timeout=3).status_code
        return 0

    def metrics(self) -> str:
        headers = {"Authorization": f"token {self.secrets['VISA_METRICS_TOKEN']}"}
        return httpx.get(f"{self.hub}/hub/metrics", headers=headers, timeout=10).text

    def signal(self, name: str, number: signal.Signals) -> None:
        os.kill(self.processes[name].pid, number)

    def until(self, condition, what: str, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                logs = {name: (self.folder / f"{name}.log").read_text()[-1500:] for name in self.processes}
                raise AssertionError(f"not within {seconds} s: {what}\n{json.dumps(logs, indent=1)}")
            time.sleep(0.1)  # between two looks, up to `limit`

    def stop(self, name: str) -> None:
        process = self.processes.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def close(self) -> None:
        for name in list(self.processes):
            self.stop(name)
        self.provider.stop()


class Doctor:
    """The doctor of a site, in this process; `say` adds settings, which the hub does not read."""

    def __init__(self, site: DoctorSite, monkeypatch, folder: Path):
        self.site, self.monkeypatch, self.folder = site, monkeypatch, folder
        shutil.copy(site.folder / "jupyterhub_config.d/10-site.py", folder)
        for name, value in (site.names | site.secrets | {"VISA_CONFIG_D": str(folder)}).items():
            monkeypatch.setenv(name, value)
        self.limit = 8.0

    def say(self, text: str) -> None:
        """Add to what the configuration says."""
        (self.folder / "20-test.py").write_text(f"c = get_config()\n{text}\n")

    def look(self, *only: str) -> list[Finding]:
        """All findings of these checks, of all where none is named."""
        here = Installation(
            self.site.config, limit=self.limit, environment_files=[self.site.environment_file]
        )
        found: dict[str, list[Finding]] = {}
        checks = [check for check in CHECKS if not only or check.name in only]

        async def everything() -> None:
            try:
                await examine(here, checks, found.__setitem__)
            finally:
                here.close()

        asyncio.run(everything())
        return [one for check in checks for one in found[check.name]]

    def wrong(self, *only: str, verdict: Verdict = Verdict.WRONG) -> list[str]:
        """What is wrong, as `check, about: what`."""
        return [f"{one.place}: {one.what}" for one in self.look(*only) if one.verdict is verdict]
