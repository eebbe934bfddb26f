"""A packet filter that has forgotten 8443: a session starts, and does not get through to the hub."""

from __future__ import annotations

import time

from playwright.sync_api import Page, expect

from tests.chromium import RESULTS

from .site import Site


def starts_in_vain(site: Site, page: Page, node: str, address: str) -> None:
    """Start what is chosen: its person reads what is wrong in a minute or so, and the operator where."""
    closed = f"INPUT -p tcp -s {address} --dport 8443 -j DROP"
    site.machine.run(f"iptables -I {closed}")
    try:
        begun = time.monotonic()
        page.locator("#start").click()
        expect(page.locator("#failure")).to_contain_text("does not reach this service", timeout=150_000)
        assert time.monotonic() - begun < 90, "no longer than it takes to be sure"
        page.screenshot(path=RESULTS / f"deployed-unheard-{node}.png")
    finally:
        site.machine.run(f"iptables -D {closed}")
    log = site.machine.log("visa-hub", 200)
    (line,) = [line for line in log.splitlines() if "does not reach the hub" in line]
    own = f"https://{site.machine.address}:8443/hub/api/visa/ready: no answer within 10 seconds"
    assert f"runs on {node} " in line and own in line, line
