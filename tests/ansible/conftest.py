"""One site, deployed once for all of these tests, and a browser that reaches it by its names."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright

from demo import login
from tests.chromium import CHROMIUM, FLAGS

from . import facility, packages
from .machines import Machine, podman
from .playbook import ROOT, Played, play

#: What takes too long for every change: `make deployment-test`.
LONG = ["test_one_machine.py", "test_debian_13.py"]
collect_ignore = [] if os.environ.get("VISA_TEST_DEPLOYMENT") == "all" else LONG

#: On podman's own network, far from where it begins to give addresses.
ADDRESS = "10.88.250.10"
#: What an upgrade leaves; a machine that takes another's place has the same software from it.
SOFTWARE = "visa-test-software"


@dataclass
class Site:
    """The deployed site: its machine, its inventory, and how it was made."""

    machine: Machine
    inventory: Path
    now: Path
    options: list[str]
    looked: Played
    first: Played
    again: Played

    def call(self, method: str, path: str, token: str = facility.SERVICE_TOKEN, **options) -> httpx.Response:
        """A request to the hub's REST API, over TLS and by the site's name."""
        with self.client() as client:
            headers = {"Authorization": f"token {token}"}
            return client.request(method, f"{facility.URL}/hub/api/{path}", headers=headers, **options)

    def client(self) -> httpx.Client:
        """A client that resolves the site's names to the machine and believes its authority alone."""
        authority = self.inventory.parent / "authority.pem"
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


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def around(tmp_path_factory) -> Iterator[dict]:
    """What is there before a site is: data, the node's engine, the login provider; gone afterwards."""
    folder = tmp_path_factory.mktemp("deployment")
    facility.make_data()
    podman("volume", "rm", "--force", SOFTWARE, check=False)
    engine, path = facility.start_engine(folder)
    port = free_port()
    provider = facility.start_provider(folder, port)
    yield {"folder": folder, "engine": path, "port": port}
    for process in (provider, engine):
        process.terminate()
        process.wait(20)
    facility.remove_sessions()
    podman("volume", "rm", "--force", SOFTWARE, check=False)
    subprocess.run(["rm", "-rf", str(facility.DATA)], check=True)


@pytest.fixture(scope="session")
def site(around) -> Iterator[Site]:
    """The one-machine site, from a bare machine, with the release before; and what a second run did."""
    folder, machine = around["folder"], Machine("visa-test-one", ADDRESS)
    old, now = packages.before(folder), packages.now(folder)
    options = ["--add-host", "login.localhost:127.0.0.1", "--add-host", "visa.test:127.0.0.1"]
    options += ["-v", f"{packages.wheels(old, now)}:/wheels:ro", "-v", f"{packages.npm_cache()}:/npm"]
    for place in (facility.DATA, folder):
        options += ["-v", f"{place}:{place}"]
    options += ["-v", f"{ROOT}:{ROOT}:ro", "-v", f"{SOFTWARE}:/opt/visa"]
    machine.start(options)
    line = None
    try:
        inventory = facility.write_inventory(folder, machine, old, around["engine"], around["port"])
        looked = play(machine, inventory, "site.yml", "--check", "--diff")
        first = play(machine, inventory, "site.yml")
        assert first.code == 0, first.said[-6000:] + machine.log("visa-hub") + machine.log("visa-portal")
        again = play(machine, inventory, "site.yml")
        line = facility.Line(machine, around["port"])
        yield Site(machine, inventory, now, options, looked, first, again)
    finally:
        if line:
            line.close()
        facility.remove_sessions()
        machine.remove()


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[Page]:
    """A browser that knows the site's names and believes its certificate alone; open through all tests."""
    key = "openssl x509 -in /etc/visa/tls/site.pem -noout -pubkey"
    key += " | openssl pkey -pubin -outform der | base64 -w0"
    names = ("visa.test", "*.visa.test")
    digest = hashlib.sha256(base64.b64decode(site.machine.said(key))).digest()
    flags = [
        "--host-resolver-rules=" + ",".join(f"MAP {name} {site.machine.address}" for name in names),
        f"--ignore-certificate-errors-spki-list={base64.b64encode(digest).decode()}",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
        yield context.new_page()
        browser.close()
