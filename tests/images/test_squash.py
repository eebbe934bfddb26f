"""Images as one file, SquashFS and SIF: with the content of the tree, described, replaced at once."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess

import pytest

from images.engine import BuildFailed
from images.root import RECIPE_LABEL
from images.sif import sif
from images.squash import squash
from images.unpack import unpack
from tests import apptainer
from tests.images.small import FILES, FOLDERS, PROGRAMS, engine, image
from visa_spawner.backends.slurm.node.squash import offset

__all__ = ["engine", "image"]
MADE = {squash: "squashfs", sif: "sif"}


@pytest.fixture(scope="module", autouse=True)
def sif_can_be_made():
    apptainer.install()


def listed(file) -> dict[str, str]:
    """What is in the SquashFS of a file: the mode and owner of each."""
    words = ["unsquashfs", "-o", str(offset(str(file))), "-lln", "-d", "", str(file)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    found = (re.match(r"(\S{10}) (\S+) .* \d\d:\d\d /?([^ ]*)", line) for line in lines)
    return {one[3]: f"{one[1]} {one[2]}" for one in found if one}


@pytest.mark.parametrize("make", [squash, sif])
def test_what_is_in_it_is_as_in_the_tree(image, engine, tmp_path, make):
    name = image("one")
    assert make(engine, name, tmp_path) is True
    found = listed(tmp_path / f"{name}.{MADE[make]}")
    for paths, mode in ((FOLDERS, "drwxr-xr-x"), (PROGRAMS, "-rwxr-xr-x"), (FILES, "-rw-r--r--")):
        for path in paths:
            assert found[path] == f"{mode} 0/0", path
    assert not {"etc/null", "etc/pipe"} & set(found)
    assert not [path for path, mode in found.items() if "s" in mode or mode[0] not in "d-l"]


@pytest.mark.parametrize("make", [squash, sif, unpack])
def test_it_says_what_it_is(image, engine, tmp_path, make):
    name = image("one")
    make(engine, name, tmp_path)
    form = MADE.get(make, "tree")
    place = tmp_path / (name if make is unpack else f"{name}.{form}")
    about = json.loads(place.with_name(f"{place.name}.json").read_text())
    known = engine.inspect(f"localhost/visa/{name}:latest")
    assert (about["name"], about["form"]) == (name, form)
    assert about["image"] == "sha256:" + known["Id"]
    assert about["labels"][RECIPE_LABEL] == known["Labels"][RECIPE_LABEL]
    if make is not unpack:
        assert about["digest"] == "sha256:" + hashlib.sha256(place.read_bytes()).hexdigest()
        assert about["bytes"] == place.stat().st_size


def test_a_sif_file_has_the_labels_in_it(image, engine, tmp_path):
    name = image("one")
    sif(engine, name, tmp_path)
    command = [apptainer.PROGRAM, "sif", "dump", "1", tmp_path / f"{name}.sif"]
    parts = subprocess.run([*command[:2], "list", command[-1]], capture_output=True, text=True, check=True)
    number = next(line.split("|")[0] for line in parts.stdout.splitlines() if "JSON" in line)
    said = subprocess.run(
        [*command[:3], number.strip(), command[-1]], capture_output=True, text=True, check=True
    )
    labels = json.loads(said.stdout)["data"]["attributes"]["labels"]
    assert labels["org.visa.image"] == "sha256:" + engine.inspect(f"localhost/visa/{name}:latest")["Id"]
    assert labels[RECIPE_LABEL]


def test_the_same_image_gives_the_same_squashfs(image, engine, tmp_path):
    name = image("one")
    squash(engine, name, tmp_path / "a")
    # From the tree as well as from the image.
    unpack(engine, name, tmp_path / "b")
    squash(engine, name, tmp_path / "b")
    one, other = (json.loads((tmp_path / x / f"{name}.squashfs.json").read_text()) for x in "ab")
    assert one["digest"] == other["digest"]


@pytest.mark.parametrize("make", [squash, sif])
def test_it_is_made_anew_when_the_image_has_changed_alone(image, engine, tmp_path, make):
    name = image("one")
    assert [make(engine, name, tmp_path) for _ in range(2)] == [True, False]
    first = (tmp_path / f"{name}.{MADE[make]}").resolve()
    image("two")
    assert make(engine, name, tmp_path) is True
    second = (tmp_path / f"{name}.{MADE[make]}").resolve()
    # The first stays, and what says what it is: a job on another machine may run in it.
    assert first != second and first.exists() and first.with_name(f"{first.name}.json").exists()
    with first.open("rb"):
        make(engine, name, tmp_path, keep_hours=0)
        assert first.exists(), "it is open here"
    make(engine, name, tmp_path, keep_hours=0)
    assert not first.exists() and not first.with_name(f"{first.name}.json").exists()
    assert second.exists()


def test_what_a_killed_one_left_is_gone_with_the_next(image, engine, tmp_path):
    name = image("one")
    left = [tmp_path / f".{name}.scratch/tree", tmp_path / f".{name}.squashfs.new"]
    left[0].mkdir(parents=True)
    left[1].write_text("half")
    assert squash(engine, name, tmp_path) is True
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(f".{name}")]
    assert listed(tmp_path / f"{name}.squashfs")


@pytest.mark.parametrize(("make", "tool"), [(squash, "mksquashfs"), (sif, "apptainer")])
def test_without_its_tool_it_says_so_and_leaves_nothing(image, engine, tmp_path, monkeypatch, make, tool):
    name, which = image("one"), shutil.which
    monkeypatch.setattr(shutil, "which", lambda program: None if program == tool else which(program))
    with pytest.raises(BuildFailed, match=f"{tool} is not installed"):
        make(engine, name, tmp_path)
    assert not [path for path in tmp_path.iterdir() if name in path.name]
