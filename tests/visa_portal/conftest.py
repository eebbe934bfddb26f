"""One site for all of the portal's tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import portal_sharing
import pytest
from portal_support import ACCOUNTS, TITLES, TestSite, free_ports

from tests.chromium import CHROMIUM, FLAGS


def a_site():
    # Not below /tmp: data are bound only where nobody but the facility may write above them.
    folder = Path(tempfile.mkdtemp(prefix="visa-portal-test-", dir="/var/lib"))
    folder.chmod(0o755)
    made = TestSite(folder, *free_ports(4))
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def site():
    """One site for all tests that leave it as it was."""
    yield from a_site()


@pytest.fixture(scope="module")
def own_site():
    """A site for tests that stop parts of it."""
    yield from a_site()


@pytest.fixture
def fresh(site):
    """The site, with no session of anybody."""
    for user in ACCOUNTS:
        site.clear(user)
    return site


@pytest.fixture(scope="module")
def working(site):
    """The site with one session of alice's, `tooth`, on the experiment ma-1."""
    for user in ACCOUNTS:
        site.clear(user)
    portal_sharing.here(site, *ACCOUNTS)
    portal_sharing.run(site, title=TITLES[0])
    yield site
    site.clear("alice")


@pytest.fixture
def work(working):
    """The same, with nobody let into it."""
    portal_sharing.empty(working)
    return working


@pytest.fixture(scope="module")
def chromium():
    """A browser; where there is none the test is skipped, but never in the pipeline.

    For a module and no longer: its driver keeps a loop running, in which no asynchronous test can run.
    """
    from playwright.sync_api import sync_playwright

    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
