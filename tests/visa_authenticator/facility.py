"""A facility for the tests: the demo's own provider, and a hub, each a real process."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx

from demo import blocking
from demo.login import Page, browser, log_in
from demo.node import PROVIDER, node, proxy

ROOT = Path(__file__).resolve().parents[2]
SERVER = Path(__file__).with_name("tiny_server.py")

HUB_CONFIG = """
import json, pathlib
known = json.loads(pathlib.Path({known!r}).read_text())
c.JupyterHub.bind_url = known["site"]
c.JupyterHub.hub_port = known["hub_port"]
c.JupyterHub.subdomain_host = known["site"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{{known['proxy_port']}}"
c.ConfigurableHTTPProxy.command = known["proxy"]
c.JupyterHub.allow_named_servers = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = known["directory"] + "/homes/{{username}}"
c.Spawner.cmd = known["server"]
c.JupyterHub.services = [
    {{"name": "tests", "api_token": known["token"]}},
    {{"name": "app", "api_token": known["app_token"], "oauth_client_id": "service-app",
      "oauth_redirect_uri": known["app"], "oauth_no_confirm": True}},
]
c.JupyterHub.load_roles = [
    {{"name": "tests", "services": ["tests"],
      "scopes": ["admin:users", "admin:auth_state", "admin:servers", "read:groups", "tokens"]}},
    {{"name": "user", "scopes": ["self", "access:services!service=app"]}},
    {{"name": "helpdesk", "groups": ["role-helpdesk"], "scopes": ["list:users"]}},
]

c.JupyterHub.authenticator_class = "visa_authenticator.VisaAuthenticator"
c.VisaAuthenticator.issuer = known["issuer"]
c.VisaAuthenticator.client_id = "visa"
c.VisaAuthenticator.client_secret_file = known["secret_file"]
c.VisaAuthenticator.oauth_callback_url = known["site"] + "/hub/oauth_callback"
c.VisaAuthenticator.scope = ["openid", "profile", "email", "facility"]
c.VisaAuthenticator.logout_of_provider = True
# As quick as a test wants it.
c.VisaAuthenticator.auth_refresh_age = 1
c.VisaAuthenticator.provider_timeout = 1
c.VisaAuthenticator.provider_pause = 1
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def eventually(question, seconds: float = 10):
    """The first answer that is true; the last one when none came in time."""
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


class Program:
    """A child process with its log in a file."""

    def __init__(self, name: str, directory: Path):
        self.log_file = directory / f"{name}.txt"
        self._process: subprocess.Popen | None = None

    def run(self, command: list[str], ready, **options) -> None:
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **options)
        if not eventually(ready, 60):
            raise AssertionError(f"{command[0]} did not start:\n{self.log[-4000:]}")

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class Provider(Program):
    """The demo's login provider; `accounts` is what it knows."""

    def __init__(self, directory: Path, redirect_uri: str, secret: str):
        super().__init__("provider", directory)
        self.port = free_port()
        self.issuer = f"http://login.localhost:{self.port}"
        self.accounts: dict[str, dict] = {}
        self._accounts_file = directory / "accounts.json"
        self._settings_file = directory / "provider.json"
        self.admin_socket = directory / "provider-admin.sock"
        self.state = directory / "provider.sqlite"
        self._settings = {
            "issuer": self.issuer,
            "port": self.port,
            "client_id": "visa",
            "client_secret": secret,
            "redirect_uris": [redirect_uri],
            "post_logout_redirect_uris": [redirect_uri.removesuffix("oauth_callback")],
            "backchannel_logout_uri": redirect_uri.replace("oauth_callback", "backchannel_logout"),
            "admin_socket": str(self.admin_socket),
            "accounts": str(self._accounts_file),
            "facility": "Test facility",
            "state": str(self.state),
            "access_token_seconds": 1,
            "rotation_grace_seconds": 0,
        }

    def start(self) -> None:
        self._settings_file.write_text(json.dumps(self._settings))
        self.run([str(node()), str(PROVIDER), str(self._settings_file)], self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.issuer}/.well-known/openid-configuration").is_success
        except httpx.HTTPError:
            return False

    def add(self, name: str, uid: int, **claims) -> dict:
        """An account with a password nobody can guess; `claims` overrule the usual ones."""
        self.accounts[name] = {
            "password": secrets.token_urlsafe(12),
            "sub": f"subject-of-{name}",
            "preferred_username": name,
            "name": f"{name.title()} Test",
            "email": f"{name}@example.org",
            "uidNumber": uid,
            "gidNumber": uid,
            "gidNumbers": [uid, 30001],
            "homeDirectory": f"/data/home/{name}",
            "roles": ["scientist"],
            "experiments": [],
            "instruments": [],
            **claims,
        }
        self.save()
        return self.accounts[name]

    def change(self, name: str, **claims) -> None:
        """Change claims; None takes one away."""
        for claim, value in claims.items():
            self.accounts[name][claim] = value
            if value is None:
                del self.accounts[name][claim]
        self.save()

    def remove(self, name: str) -> None:
        del self.accounts[name]
        self.save()

    def block(self, name: str) -> bool:
        """Block an account; whether the hub was told of it."""
        return blocking.block(self.admin_socket, name)

    def unblock(self, name: str) -> None:
        blocking.unblock(self.admin_socket, name)

    def spoil_accounts(self) -> None:
        """Let the provider answer every question about an account with status 500, until `save`."""
        self._accounts_file.write_text("{")

    def save(self) -> None:
        new = self._accounts_file.with_suffix(".new")
        new.write_text(json.dumps(self.accounts))
        new.replace(self._accounts_file)


class Hub(Program):
    """A JupyterHub with `VisaAuthenticator`, and its proxy."""

    def __init__(self, directory: Path, site: str, issuer: str, secret: str):
        super().__init__("hub", directory)
        self.site, self.token = site, secrets.token_urlsafe(24)
        #: A service that people log in to by the hub, as they do to the portal and to sessions.
        self.app, self.app_token = f"{site}/services/app/oauth_callback", secrets.token_urlsafe(24)
        self._directory = directory
        (directory / "client-secret").write_text(secret + "\n")
        (directory / "client-secret").chmod(0o600)
        known = {
            "site": site,
            "issuer": issuer,
            "hub_port": free_port(),
            "proxy_port": free_port(),
            "proxy": proxy(),
            "token": self.token,
            "app": self.app,
            "app_token": self.app_token,
            "directory": str(directory),
            "secret_file": str(directory / "client-secret"),
            "server": [sys.executable, str(SERVER)],
        }
        (directory / "known.json").write_text(json.dumps(known))
        (directory / "hub_config.py").write_text(HUB_CONFIG.format(known=str(directory / "known.json")))
        self.crypt_key = secrets.token_hex(32)

    def start(self) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JUPYTERHUB_CRYPT_KEY": self.crypt_key,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        command = [sys.executable, "-m", "tests.lean_hub", "--debug", "-f", "hub_config.py"]
        self.run(command, self._answers, cwd=self._directory, env=environment)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.site}/hub/api/").is_success
        except httpx.HTTPError:
            return False

    def api(self, method: str, path: str, **options) -> httpx.Response:
        """A call of the hub's REST API with the tests' own rights."""
        headers = {"Authorization": f"token {self.token}"}
        return httpx.request(method, f"{self.site}/hub/api/{path}", headers=headers, timeout=30, **options)

    def user(self, name: str) -> dict:
        return self.api("GET", f"users/{name}").json()


class Facility:
    """Provider and hub together, with what tests do to them again and again."""

    def __init__(self, directory: Path):
        self.site = f"http://localhost:{free_port()}"
        self.secret = secrets.token_urlsafe(24)
        self.provider = Provider(directory, f"{self.site}/hub/oauth_callback", self.secret)
        self.hub = Hub(directory, self.site, self.provider.issuer, self.secret)
        self.seen: set[str] = {self.secret, self.hub.crypt_key}

    def log_in(self, name: str, client: httpx.Client | None = None) -> httpx.Client:
        """A browser in which the account is logged in; raises LoginFailed with the page's words."""
        client = client or browser()
        log_in(client, self.site, name, self.provider.accounts[name]["password"])
        self.remember(name)
        return client

    def remember(self, name: str) -> dict:
        """What the hub keeps of an account; its tokens are watched for in the logs."""
        state = self.hub.user(name)["auth_state"]
        self.seen |= {state["access_token"], state["refresh_token"]}
        return state

    def callback_of(self, client: httpx.Client, name: str, change_request=lambda address: address) -> str:
        """Log in up to the address that would bring the code to the hub, without going there."""
        begun = client.get(f"{self.site}/hub/oauth_login", follow_redirects=False)
        page = client.get(change_request(begun.headers["location"]))
        answers = {"account": name, "password": self.provider.accounts[name]["password"]}
        address, form = str(page.url), Page(page.text)
        answer = client.post(f"{self.provider.issuer}{form.action}", data=answers, follow_redirects=False)
        while not (address := answer.headers["location"]).startswith(self.site):
            answer = client.get(address, follow_redirects=False)
        self.seen |= set(parse_qs(urlsplit(address).query).get("code", []))
        return address

    def app_token(self, client: httpx.Client) -> str:
        """The token that a service gets for a browser which is logged in at the hub."""
        asked = {
            "client_id": "service-app",
            "redirect_uri": self.hub.app,
            "response_type": "code",
            "state": "s",
        }
        answer = client.get(f"{self.site}/hub/api/oauth2/authorize", params=asked, follow_redirects=False)
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {
            "client_id": "service-app",
            "client_secret": self.hub.app_token,
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.hub.app,
        }
        token = httpx.post(f"{self.site}/hub/api/oauth2/token", data=form).json()["access_token"]
        self.seen.add(token)
        return token

    def works(self, token: str) -> bool:
        """Whether the hub takes a token of an account."""
        headers = {"Authorization": f"token {token}"}
        return httpx.get(f"{self.site}/hub/api/user", headers=headers).is_success

    def inside(self, client: httpx.Client) -> bool:
        """Whether the hub shows this browser its pages."""
        answer = client.get(f"{self.site}/hub/token", follow_redirects=False)
        return answer.status_code == 200

    def leaked(self) -> list[str]:
        """Lines of the logs with a secret in them."""
        self.seen |= {account["password"] for account in self.provider.accounts.values()}
        lines = [*self.hub.log.splitlines(), *self.provider.log.splitlines()]
        return [line for line in lines if any(secret in line for secret in self.seen)]
