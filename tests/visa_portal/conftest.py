"""One site for all of the portal's tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from portal_support import TestSite, free_ports

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    made = TestSite(tmp_path_factory.mktemp("portal"), *free_ports(4))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture
def fresh(site):
    """The site, with no session of anybody."""
    for user in ("alice", "bob", "ines", "nobody"):
        site.clear(user)
    return site


@pytest.fixture(scope="session")
def chromium():
    """A browser; where there is none the test is skipped, but never in the pipeline."""
    from playwright.sync_api import sync_playwright

    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{CHROMIUM} is missing")
        pytest.skip(f"{CHROMIUM} is missing")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
