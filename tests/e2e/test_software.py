"""The software that fits the experiment: suggested for its data, started, written down, started so again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from playwright.async_api import expect

from demo.facility.beamtimes import INSTRUMENTS
from visa_spawner.start.shelf import FRESH

from .site import RunningSite, podman

TOMOGRAPHY = "localhost/visa/tomography:latest"
#: What a person of each beamline is offered first.
SUGGESTED = {
    "diffraction": "Powder, SAXS and WAXS",
    "tomography": "Tomography",
    "fluorescence": "Fluorescence and absorption",
    "saxs": "Powder, SAXS and WAXS",
}


def on_disk(site: RunningSite, instrument: str) -> dict:
    """An experiment of that instrument with data, of the demo's people, on which nobody has worked yet."""
    people = site.accounts("scientist")
    for line in (site.run / "experiments.jsonl").read_text().splitlines():
        entry = json.loads(line)
        known = [name for name in entry["team"] if name in people]
        if entry["instrument"] == instrument and known and Path(entry["raw"]).is_dir():
            answer = site.account(known[0]).call("GET", "visa/used", params={"experiment": entry["id"]})
            if answer.raise_for_status().json() == {"used": []}:
                return entry | {"person": known[0]}
    raise AssertionError(f"nothing measured on {instrument} is still untouched")


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda it: it.name)
async def test_each_experiment_suggests_its_software(site: RunningSite, person, instrument):
    chosen = on_disk(site, instrument.name)
    async with person(chosen["person"]) as page:
        await page.goto(urljoin(page.url, f"new?experiment={chosen['id']}"))
        offer = page.locator(".offer").first
        await expect(offer.locator(".offer-title")).to_have_text(SUGGESTED[instrument.technique])
        await expect(offer.locator("input[name=profile]")).to_be_checked()
        await expect(offer.locator(".reason")).to_contain_text(re.compile(instrument.name, re.IGNORECASE))


@pytest.fixture
def rebuilt(tmp_path):
    """`rebuilt(image)` puts another image, made from that one, in the place of what sessions start from."""
    recipe, before = tmp_path / "Containerfile", []

    def rebuild(image: str) -> None:
        before.append(image)
        recipe.write_text(f"FROM {image}\nLABEL org.visa.test=rebuilt\n")
        podman("build", "--quiet", "--tag", TOMOGRAPHY, "--file", str(recipe), str(tmp_path))

    yield rebuild
    for image in before:
        made = podman("image", "inspect", "--format", "{{.Id}}", TOMOGRAPHY).strip()
        podman("tag", image, TOMOGRAPHY)
        podman("rmi", made)


async def test_a_session_s_passport_starts_the_same_again(site: RunningSite, person, picture, rebuilt):
    """Tomography's own image, its tiles in JupyterLab; then, from the passport, the very same image."""
    chosen = on_disk(site, "id19")
    account = site.account(chosen["person"])
    site.wait_for_software("tomography")
    account.started("scan", experiments=[chosen["id"]], profile="tomography", plan="small")
    try:
        image = podman("inspect", "--format", "{{.Image}}", account.container("scan")).strip()
        passport = json.loads(account.run("scan", "cat /experiments/passport.json").stdout)
        assert passport["image"]["digest"] == f"sha256:{image}"
        assert passport["experiments"][0]["id"] == chosen["id"]
        assert {"nabu", "tomwer"} <= {it["name"] for it in passport["packages"] if it["type"] == "pypi"}
        async with person(chosen["person"]) as page:
            await page.goto(f"{account.sessions()['scan']['url']}lab")
            tiles = page.locator(".jp-LauncherCard")
            for words in ("Python (Tomography)", "Desktop", "tomwer", "Welcome"):
                await expect(tiles.filter(has_text=words).first).to_be_visible(timeout=60_000)
            await page.wait_for_timeout(1000)  # the tiles' icons, for the picture
            await picture(page, "launcher")
            await page.goto(site.url)
            await page.get_by_role("link", name="Passport").click()
            await expect(page.get_by_text(image)).to_be_visible()
            await picture(page, "passport")
            await page.get_by_role("link", name="Start again like this").click()
            await expect(page.get_by_text("The software is the same as then.")).to_be_visible()
            rebuilt(image)
            await page.wait_for_timeout(1000 * (FRESH + 1))  # the hub tells its last answer that long
            await page.reload()
            await expect(page.get_by_text("The software has been updated since.")).to_be_visible()
            await page.get_by_label("Exactly that software").check()
            await picture(page, "start-again")
            await page.locator("#start").click()
            await page.wait_for_url(re.compile(r"/(lab|desktop)"), timeout=60_000)
        (again,) = set(account.sessions()) - {"scan"}
        assert account.sessions()[again]["state"] == "running"
        assert podman("inspect", "--format", "{{.Image}}", account.container(again)).strip() == image
    finally:
        for name in account.sessions():
            account.remove(name)
