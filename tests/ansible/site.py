"""A deployed site, as tests use it: its machine, its inventory, and clients that reach it by its names."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from demo import login

from . import facility
from .machines import Machine

#: The name of the session that tests have.
SESSION = "tooth"


@dataclass
class Site:
    """The deployed site; `now` is the tree that it is upgraded to."""

    machine: Machine
    inventory: Path
    now: Path
    options: list[str]
    port: int
    line: facility.Line | None = None

    def connect(self) -> None:
        """Let the machine reach the login provider; anew each time that it boots."""
        self.disconnect()
        self.line = facility.Line(self.machine, self.port)

    def disconnect(self) -> None:
        if self.line:
            self.line.close()
        self.line = None

    def call(self, method: str, path: str, token: str = facility.SERVICE_TOKEN, **options) -> httpx.Response:
        """A request to the hub's REST API, over TLS and by the site's name."""
        with self.client() as client:
            headers = {"Authorization": f"token {token}"}
            return client.request(method, f"{facility.URL}/hub/api/{path}", headers=headers, **options)

    def client(self) -> httpx.Client:
        """A client that resolves the site's names to the machine and believes its authority alone."""
        authority = self.inventory.parent / f"{self.machine.name}-authority.pem"
        if not authority.exists():
            authority.write_text(self.machine.said("cat /etc/visa/tls/authority.pem"))
        context = ssl.create_default_context(cafile=str(authority))
        return login.browser(transport=_ToMachine(self.machine.address, context), follow_redirects=False)

    def log_in(self, name: str) -> None:
        """Have somebody log in, as a browser would, so that the hub knows them."""
        with self.client() as client:
            client.follow_redirects = True
            login.log_in(client, facility.URL, name, facility.PASSWORD)

    def token(self, name: str) -> str:
        """A token that acts as somebody who has logged in."""
        answer = self.call("POST", f"users/{name}/tokens", json={"scopes": ["inherit"], "note": "tests"})
        return answer.raise_for_status().json()["token"]

    def sessions(self, token: str) -> dict[str, dict]:
        found = self.call("GET", "visa/sessions", token).raise_for_status().json()["sessions"]
        return {one["name"]: one for one in found}

    def until_running(self, token: str, name: str, seconds: float = 60) -> dict:
        end = time.monotonic() + seconds
        while True:
            record = self.sessions(token).get(name)
            if record and record["state"] == "running":
                return record
            assert time.monotonic() < end, f"{name} does not run: {record}\n{self.machine.log('visa-hub')}"
            time.sleep(0.3)  # between two looks, up to `end`

    def answers(self, token: str, owner: str, name: str) -> int:
        """What a session's own server says to its owner, through web server and proxy."""
        with self.client() as client:
            url = f"https://{owner}.visa.test/user/{owner}/{name}/api/status"
            return client.get(url, headers={"Authorization": f"token {token}"}).status_code

    def ask_database(self, question: str) -> str:
        return self.machine.said(f'runuser -u postgres -- psql -Atc "{question}" visa')

    def pid(self, unit: str) -> str:
        return self.machine.said(f"systemctl show -P MainPID {unit}")

    def release(self, link: str = "current") -> str:
        return self.machine.said(f"readlink /opt/visa/{link}")


@dataclass
class Person:
    """Somebody in a browser with a session: a token of theirs, and the websockets that their pages opened."""

    token: str
    sockets: list

    def open_desktops(self) -> int:
        """How many desktops are on screen whose line has not been closed since it was opened."""
        desktops = [one for one in self.sockets if "/desktop" in one.url]
        return len(desktops) if not any(one.is_closed() for one in desktops) else 0


class _ToMachine(httpx.HTTPTransport):
    """Connections to the machine, whatever the site's name; TLS is about the name."""

    def __init__(self, address: str, context):
        super().__init__(verify=context, trust_env=False)
        self.address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host
        if name.endswith(".localhost"):  # the login provider, which is here
            return super().handle_request(request)
        request.extensions = {**request.extensions, "sni_hostname": name}
        asked, request.url = request.url, request.url.copy_with(host=self.address)
        try:
            return super().handle_request(request)
        finally:
            request.url = asked  # cookies and redirects go by the name
