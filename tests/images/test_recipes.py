"""The recipes as they stand in the tree, without any image."""

from __future__ import annotations

import re

import pytest
import yaml

from images.lock import pins
from images.recipe import BASE, IMAGES, Recipe, blocks, names
from tests.images import recipes

PROFILES = sorted((IMAGES.parent / "profiles").glob("*.yaml"))


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_a_profiles_image_and_applications_have_a_recipe(path):
    described = yaml.safe_load(path.read_text())
    layers = Recipe(described["image"], "bookworm").layers
    for name in described["applications"]:
        assert any((layer / f"applications/{name}.desktop").is_file() for layer in layers), name


@pytest.mark.parametrize("name", names())
def test_every_application_has_an_icon_of_the_packages_or_of_ours(name):
    recipe = Recipe(name, "bookworm")
    icons = {icon for layer in recipe.layers for icon in Recipe(layer.name, "bookworm").about.icons}
    icons |= {path.stem for layer in recipe.layers for path in layer.glob("applications/*.svg")}
    for layer in recipe.layers:
        for entry in layer.glob("applications/*.desktop"):
            assert re.search(r"^Icon=(.*)$", entry.read_text(), re.MULTILINE)[1] in icons, entry


@pytest.mark.parametrize("name", [name for name in names() if name != BASE])
def test_a_technique_adds_to_bases_packages_and_changes_none(name):
    base = set(pins((IMAGES / BASE / "requirements.lock").read_text()))
    text = (IMAGES / name / "requirements.lock").read_text()
    own = pins(text)
    assert own and base.isdisjoint(own)
    mine = {pin.partition("==")[0]: pin for pin in own}
    for pin in base:
        package = pin.partition("==")[0]
        # What base has for Windows alone is not there.
        assert package not in mine or "win32" in pin, mine[package]
    assert set(Recipe(name, "bookworm").about.compiled) <= set(blocks(text))
    assert all("--hash=sha256:" in block for block in blocks(text).values())


def test_a_look_alike_on_pypi_is_asked_for_by_no_recipe():
    asked = {
        re.split(r"[\[<>=! ;]", line.strip().lower())[0]
        for source in IMAGES.glob("*/requirements.in")
        for line in source.read_text().splitlines()
    }
    locked = {name for lock in IMAGES.glob("*/requirements.lock") for name in blocks(lock.read_text())}
    assert (asked | locked) & {"dials", "xia2", "pynx", "larch", "phenix", "resource", "pyoidc"} == set()
    assert {"xraylarch", "pyfai"} <= asked, "the search itself works"


def test_which_images_are_looked_at_can_be_said(monkeypatch):
    monkeypatch.setenv("VISA_TEST_IMAGES", "all")
    assert set(recipes.tested()) == set(names()) - {BASE}
    monkeypatch.setenv("VISA_TEST_IMAGES", "powder nothing")
    with pytest.raises(ValueError, match="no recipe nothing"):
        recipes.tested()
