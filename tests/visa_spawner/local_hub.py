"""A real JupyterHub with a real proxy, as processes that tests may kill."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from demo import node

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ACCOUNTS = {
    "alice": {"uid": 20001, "gid": 20001, "gids": [30001], "roles": ["scientist"], "teams": ["A-1"]},
    "bob": {"uid": 20002, "gid": 20002, "gids": [], "roles": ["scientist"], "teams": ["B-2"]},
    "heidi": {"uid": 20009, "gid": 20009, "gids": [], "roles": ["helpdesk"]},
}

CONFIG = """
import json, sys
from jupyterhub.auth import DummyAuthenticator
from visa_catalogue.account import Account
from visa_spawner.site import prepare

SETTINGS = json.loads({settings!r})

class Facility(DummyAuthenticator):
    async def authenticate(self, handler, data):
        account = Account(**SETTINGS["accounts"][data["username"]])
        return {{"name": account.username, "groups": account.groups,
                 "auth_state": {{"account": account.model_dump(mode="json")}}}}

c.JupyterHub.authenticator_class = Facility
c.Authenticator.enable_auth_state = True
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "visa_spawner.spawner.VisaSpawner"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.JupyterHub.init_spawners_timeout = 1
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 1.5}}
c.JupyterHub.bind_url = SETTINGS["url"]
c.JupyterHub.hub_bind_url = SETTINGS["hub_url"]
c.JupyterHub.proxy_class = "visa_spawner.running.proxy.WatchedProxy"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = SETTINGS["proxy_api"]
c.JupyterHub.services = [{{"name": "admin", "api_token": SETTINGS["admin_token"]}}]
c.JupyterHub.load_roles = [{{"name": "admin", "services": ["admin"]}}]
c.LocalBackend.marks_dir = SETTINGS["marks"]
c.VisaSite.backends = {{"container": "local_backend.LocalBackend"}}
for name, value in SETTINGS["site"].items():
    setattr(c.VisaSite, name, value)
for name, value in SETTINGS["spawner"].items():
    setattr(c.VisaSpawner, name, value)
c.VisaSpawner.environment = {{"SITE_SAYS": lambda spawner: "hello " + spawner.name}}
prepare(c)
"""


class Hub:
    """A hub below `root`, which is a facility's tree with its site's files."""

    config, accounts = CONFIG, ACCOUNTS

    def __init__(self, root, **site):
        self.root, self.marks = root, root / "marks"
        self.marks.mkdir(mode=0o777)
        self.marks.chmod(0o777)
        ports = free_ports(3)
        self.url, self.hub_url, self.proxy_api = (f"http://127.0.0.1:{port}" for port in ports)
        self.admin_token, self.proxy_token = secrets.token_hex(16), secrets.token_hex(16)
        self.crypt_key = secrets.token_hex(32)
        self.log = root / "hub.log"
        self.site = {
            "profiles_dir": str(root / "profiles"),
            "catalogue_address": f"file://{root}/experiments.yaml",
            "home_roots": [str(root / "home")],
            "staging_dir": str(root / "staging"),
            "keep_interval": 1,
            "max_sessions": 3,
            "portal_url": "/services/visa",
            "facility": "Test facility",
        } | site
        self.spawner = {"poll_interval": 1}
        self.hub = self.proxy = None
        self.http = httpx.Client(timeout=30)
        self.tokens = {}

    def start_proxy(self):
        node.install()
        command = [*node.proxy(), "--ip", "127.0.0.1", "--port", self.url.rpartition(":")[2]]
        command += ["--api-ip", "127.0.0.1", "--api-port", self.proxy_api.rpartition(":")[2]]
        command += ["--default-target", self.hub_url, "--log-level", "warn"]
        if folder := self.site.get("authority_dir"):
            command += ["--client-ssl-ca", f"{folder}/authority.pem"]
        environment = {"PATH": os.environ["PATH"], "CONFIGPROXY_AUTH_TOKEN": self.proxy_token}
        self.proxy = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )

    def settings(self):
        """What the configuration is told."""
        accounts = {
            name: {"username": name, "home": str(self.root / "home" / name)} | values
            for name, values in self.accounts.items()
        }
        names = ("url", "hub_url", "proxy_api", "admin_token", "site", "spawner")
        return {name: getattr(self, name) for name in names} | {
            "accounts": accounts,
            "marks": str(self.marks),
        }

    def start(self):
        settings = self.settings()
        config = self.root / "jupyterhub_config.py"
        config.write_text(self.config.format(settings=json.dumps(settings)))
        config.chmod(0o600)
        if self.proxy is None:
            self.start_proxy()
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{HERE}",
            "CONFIGPROXY_AUTH_TOKEN": self.proxy_token,
            "JUPYTERHUB_CRYPT_KEY": self.crypt_key,
            "SECRET_OF_THE_HUB": "must not leak",
            "VISA_TRUSTED_PROXIES": "192.0.2.1",
        }
        command = [sys.executable, "-m", "tests.lean_hub", "-f", str(config), "--log-level", "INFO"]
        with open(self.log, "ab") as log:
            self.hub = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self.until(self.answers, 60, "the hub answers")
        return self

    def answers(self):
        if self.hub.poll() is not None:
            raise AssertionError(self.log.read_text()[-3000:])
        try:
            return self.http.get(f"{self.hub_url}/hub/api/").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self):
        """As the kernel would when memory runs out: no goodbye."""
        os.kill(self.hub.pid, signal.SIGKILL)
        self.hub.wait()

    def close(self):
        for process in (self.hub, self.proxy):
            if process and process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for name in ("down", "hold-create", "hold-start", "hold-ready"):
            (self.marks / name).unlink(missing_ok=True)
        for pid in self.jobs():
            os.killpg(pid, signal.SIGKILL)
        for file in self.marks.glob("*.pid"):
            if self.process(file.stem):
                os.killpg(self.process(file.stem), signal.SIGKILL)
        self.http.close()

    # People --------------------------------------------------------------------------------------
    def login(self, name):
        """A browser that is logged in; it follows no redirect by itself."""
        browser = httpx.Client(base_url=self.hub_url, timeout=30)
        browser.get("/hub/login")
        data = {"username": name, "password": "x", "_xsrf": browser.cookies["_xsrf"]}
        answer = browser.post("/hub/login", data=data)
        assert answer.status_code == 302, answer.text
        browser.get("/hub/token")
        return browser

    def token(self, name):
        """A token that acts as that person, who has logged in."""
        if name not in self.tokens:
            self.login(name).close()
            self.tokens[name] = self.api("POST", f"users/{name}/tokens", json={}).json()["token"]
        return self.tokens[name]

    def api(self, method, path, who=None, **options):
        """A call at the REST API, as a person or as the admin service."""
        token = self.token(who) if who in self.accounts else (who or self.admin_token)
        headers = {"Authorization": f"token {token}"}
        return self.http.request(method, f"{self.hub_url}/hub/api/{path}", headers=headers, **options)

    def start_session(self, name, options, who="alice"):
        return self.api(
            "POST",
            f"users/{who}/servers/{name}",
            who,
            json={"display_name": name.title(), "user_options": options},
        )

    def run_session(self, name, options, who="alice"):
        """Start one and wait until it runs, however busy this machine is."""
        answer = self.start_session(name, options, who)
        assert answer.status_code in (201, 202), answer.text
        return self.until(lambda: (s := self.session(name, who))["ready"] and s, 30, f"{name} runs")

    def stop_session(self, name, who="alice", remove=True):
        self.until(lambda: self.session(name, who)["pending"] is None, 20, f"{name} is settled")
        self.api("DELETE", f"users/{who}/servers/{name}", who, json={"remove": remove})
        self.until(
            lambda: (self.session(name, who) or {"pending": None})["pending"] is None, 20, f"{name} stopped"
        )

    def session(self, name, who="alice", **query):
        sessions = self.api("GET", "visa/sessions", who, params=query).json()["sessions"]
        return next((session for session in sessions if session["name"] == name), None)

    def address(self, name, who="alice"):
        """Where a session is reached through the proxy."""
        return f"{self.url}/user/{who}/{name}/"

    def names(self, who="alice"):
        return {
            name
            for name in self.api("GET", f"users/{who}?include_stopped_servers=1").json()["servers"]
            if name
        }

    # What is there -------------------------------------------------------------------------------
    def process(self, key):
        """The pid of a session's process that is alive, by `alice+tooth`."""
        try:
            pid = int((self.marks / f"{key}.pid").read_text())
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else pid

    def processes(self):
        return {file.stem for file in self.marks.glob("*.pid") if self.process(file.stem)}

    def jobs(self):
        """The pids of the jobs of `LocalQueue`, whoever knows of them."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if len(words) > 3 and words[1].endswith("local_job.py") and words[2] == str(self.marks):
                found.append(int(place.name))
        return found

    def mounts(self):
        return [
            line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.root) in line
        ]

    @staticmethod
    def until(condition, seconds, what):
        """Wait for something to become true, and give it; fails when it does not."""
        limit = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < limit, f"not within {seconds} s: {what}"
            time.sleep(0.05)
        return found


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
