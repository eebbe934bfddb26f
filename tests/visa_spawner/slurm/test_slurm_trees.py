"""Which image of a cluster a session enters, by what stands beside the images."""

import json
import os
from types import SimpleNamespace

import pytest

from visa_session.contract import PASSPORT
from visa_spawner.backends import results, software
from visa_spawner.backends.slurm import trees
from visa_spawner.session import Image, StartRefused

OLD, NEW = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def tree(folder, name, digest):
    (folder / name / "opt/visa").mkdir(parents=True)
    (folder / name / "opt/visa/packages.txt").write_text("# Python\nsilx==3.1.3\n")
    about = {"image": digest, "labels": {"org.visa.recipe": "r", "org.opencontainers.image.created": "c"}}
    (folder / f"{name}.json").write_text(json.dumps(about))


@pytest.fixture
def folder(tmp_path):
    """Trees as `python -m images.unpack` leaves them: two versions, and links to the newer one."""
    tree(tmp_path, "base-111111111111", OLD)
    tree(tmp_path, "base-222222222222", NEW)
    tree(tmp_path, "base-line-333333333333", f"sha256:{'3' * 64}")
    for ending in ("", ".json"):
        (tmp_path / f"base{ending}").symlink_to(f"base-222222222222{ending}")
    return tmp_path


def entered(folder, digest=""):
    seen = []
    template = f"{folder}/{{recipe}}"
    backend = SimpleNamespace(image_template=template, stamp=lambda image: (seen.append(image), "text")[1])
    return trees.entered(SimpleNamespace(image="base", digest=digest), backend), seen


async def test_the_present_one_and_the_very_one(folder):
    asked, seen = entered(folder)
    assert await asked == {"image": f"{folder}/base", "texts": {PASSPORT: "text"}}
    silx = {"type": "pypi", "name": "silx", "version": "3.1.3"}
    assert seen == [Image("base", NEW, "r", "c", (silx,))]
    asked, seen = entered(folder, OLD)
    assert (await asked)["image"] == f"{folder}/base-111111111111"
    assert seen[0].digest == OLD
    # Today's one as well: the link moves on while the job waits in the queue.
    asked, seen = entered(folder, NEW)
    assert (await asked)["image"] == f"{folder}/base-222222222222"


async def test_one_that_is_gone(folder):
    asked, seen = entered(folder, f"sha256:{'4' * 64}")
    with pytest.raises(StartRefused) as refused:
        await asked
    assert (refused.value.field, refused.value.status, seen) == ("image", 409, [])
    # Of another recipe whose name begins so.
    assert trees.image(f"{folder}/{{recipe}}", "base", f"sha256:{'3' * 64}") is None


async def test_a_hub_that_does_not_see_the_nodes_images_starts_all_the_same(tmp_path):
    asked, seen = entered(tmp_path / "elsewhere")
    assert (await asked)["image"] == f"{tmp_path}/elsewhere/base"
    assert seen == [Image("base")]
    assert trees.image(f"{tmp_path}/elsewhere/{{recipe}}", "base") is None


def test_a_sif_file(tmp_path):
    for version, digest in (("111111111111", OLD), ("222222222222", NEW)):
        (tmp_path / f"base-{version}.sif").touch()
        (tmp_path / f"base-{version}.sif.json").write_text(json.dumps({"image": digest}))
    template = f"{tmp_path}/{{recipe}}.sif"
    assert trees.find(template, "base", OLD) == f"{tmp_path}/base-111111111111.sif"
    assert trees.image(template, "base", NEW) == Image("base", NEW)
    assert trees.find(template, "base", f"sha256:{'5' * 64}") is None


def test_a_search_reads_the_kept_versions_once(folder, monkeypatch):
    read, of_result = [], software.of_result
    monkeypatch.setattr(software, "of_result", lambda place: (read.append(place), of_result(place))[1])
    template, gone = f"{folder}/{{recipe}}", f"sha256:{'6' * 64}"
    for _ in range(3):
        assert trees.find(template, "base", gone) is None
    assert len(read) == len(set(read)) == 3
    about = folder / "base-111111111111.json"
    about.write_text(about.read_text().replace(OLD, gone))
    os.utime(about, (1, 1))
    assert trees.find(template, "base", gone) == f"{folder}/base-111111111111"
    assert results._digest.cache_info().maxsize == 512
