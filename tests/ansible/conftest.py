"""One site, deployed once for all of these tests, and a browser that reaches it by its names."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Playwright, sync_playwright

from tests.chromium import PAINTED

from . import facility, packages
from .browser import browser, log_in, visit
from .machines import Machine
from .playbook import ROOT, Played, hasten, play
from .site import SESSION, Person, Site

#: What takes too long for every change: `make deployment-test`.
LONG = [
    *("test_debian_13.py", "test_deployed_cluster.py", "test_node_machine.py", "test_otherwise.py"),
    *("test_two_machines.py", "test_way_back.py"),
]
ALL = os.environ.get("VISA_TEST_DEPLOYMENT") == "all"
collect_ignore = [] if ALL else LONG

#: On podman's own network, far from where it begins to give addresses.
ADDRESS = "10.88.250.10"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def around(tmp_path_factory) -> Iterator[dict]:
    """What is there before a site is: data, the node's engine, the login provider; gone afterwards."""
    folder = tmp_path_factory.mktemp("deployment")
    facility.make_data()
    engine, path = facility.start_engine(folder)
    port = free_port()
    provider = facility.start_provider(folder, port, gids=facility.GIDS)
    yield {"folder": folder, "engine": path, "port": port}
    for process in (provider, engine):
        process.terminate()
        process.wait(20)
    facility.remove_sessions()
    shutil.rmtree(facility.DATA)


@pytest.fixture(scope="session")
def bare(around) -> Iterator[Site]:
    """A bare machine, and an inventory that has the release before."""
    folder, machine = around["folder"], Machine("visa-test-one", ADDRESS)
    old, now = packages.before(folder), packages.now(folder)
    wheels = packages.wheels(old, now)
    later = packages.migrates(now, wheels)
    options = ["--add-host", "login.localhost:127.0.0.1", "--add-host", "visa.test:127.0.0.1"]
    options += ["-v", f"{wheels}:/wheels:ro", "-v", f"{later}:/later:ro", "-v", f"{ROOT}:{ROOT}:ro"]
    options += ["-v", f"{packages.npm_cache()}:/npm", "-v", f"{packages.debs()}:/var/cache/apt/archives"]
    for place in (facility.DATA, folder):
        options += ["-v", f"{place}:{place}"]
    # A role sets what the kernel does with a network, of which the machine has its own.
    own = ["-v", f"{packages.software('one')}:/opt/visa", "--security-opt", "unmask=/proc/sys"]
    machine.start([*options, *own])
    hasten(machine)
    site = Site(machine, folder / "inventory", now, options, around["port"])
    try:
        site.connect()
        facility.write_inventory(folder, machine, old, around["engine"], around["port"])
        yield site
    finally:
        site.disconnect()
        facility.remove_sessions()
        machine.remove()
        packages.remove_software()


@pytest.fixture(scope="session")
def runs(bare: Site) -> dict[str, Played]:
    """What the runs of site.yml said: `first`, `again`; where wanted, with `--check`, `looked` and `last`."""
    machine, inventory = bare.machine, bare.inventory
    look = ("site.yml", "--check", "--diff")
    looked = {"looked": play(machine, inventory, *look)} if ALL else {}
    first = play(machine, inventory, "site.yml")
    assert first.code == 0, first.said[-6000:] + machine.log("visa-hub") + machine.log("visa-portal")
    last = {"last": play(machine, inventory, *look)} if ALL else {}
    return {**looked, "first": first, "again": play(machine, inventory, "site.yml"), **last}


@pytest.fixture(scope="session")
def site(bare: Site, runs) -> Site:
    """The one-machine site, deployed with the release before."""
    return bare


@pytest.fixture(scope="session")
def kept() -> dict:
    """What one step leaves for the next."""
    return {}


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What starts browsers, of which a process may have one."""
    with sync_playwright() as made:
        yield made


@pytest.fixture(scope="session")
def page(site: Site, playwright: Playwright) -> Iterator[Page]:
    """A browser that knows the site's names and believes its certificate alone; open through all tests."""
    with browser(playwright, site.machine) as page:
        yield page


@pytest.fixture(scope="session")
def alice(site: Site, page: Page) -> Person:
    """Somebody who has logged in by the browser, has a session on an experiment, and sees its desktop."""
    log_in(page, "alice")
    person = Person(site.token("alice"), [])
    asked = {"profile": "general", "plan": "medium", "interface": "desktop"}
    asked["experiments"] = [facility.EXPERIMENT]
    started = site.call("POST", f"users/alice/servers/{SESSION}", person.token, json={"user_options": asked})
    assert started.status_code in (201, 202), started.text
    record = site.until_running(person.token, SESSION)
    page.on("websocket", lambda one: person.sockets.append(one))
    visit(page, f"{record['url']}desktop/")
    page.wait_for_function(PAINTED, timeout=60_000)
    return person
