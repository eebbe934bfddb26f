"""Images as directory trees: whole, root's, harmless, replaced at once, removed when unused."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from images.engine import BuildFailed
from images.root import RECIPE_LABEL
from images.unpack import unpack
from tests.images.small import FILES, FOLDERS, PROGRAMS, engine, image
from visa_spawner.backends import software

__all__ = ["engine", "image"]


def trees(folder, name):
    return [path for path in folder.glob(f"{name}-*") if path.is_dir()]


def test_all_is_root_s_and_readable_and_nobody_s_to_write(image, engine, tmp_path):
    name = image("one")
    assert unpack(engine, name, tmp_path) is True
    tree = tmp_path / name
    assert (tree / "etc/text").read_text() == "one" and os.readlink(tree / "etc/link") == "text"
    modes = {}
    for path in tree.rglob("*"):
        found = path.lstat()
        assert (found.st_uid, found.st_gid) == (0, 0), path
        if not path.is_symlink():
            modes[str(path.relative_to(tree))] = stat.filemode(found.st_mode)
    assert modes == {
        **dict.fromkeys(FOLDERS, "drwxr-xr-x"),
        **dict.fromkeys(PROGRAMS, "-rwxr-xr-x"),
        **dict.fromkeys([*FILES, "opt/visa/image.json"], "-rw-r--r--"),
    }
    assert stat.filemode(tree.stat().st_mode) == "drwxr-xr-x"


def test_it_is_made_anew_when_the_image_has_changed_alone(image, engine, tmp_path):
    name = image("one")
    assert [unpack(engine, name, tmp_path) for _ in range(2)] == [True, False]
    image("two")
    assert unpack(engine, name, tmp_path) is True
    assert (tmp_path / name / "etc/text").read_text() == "two"
    # The first stays: a job on another machine may run in it.
    assert len(trees(tmp_path, name)) == 2


def test_a_replaced_tree_goes_once_nobody_here_uses_it(image, engine, tmp_path):
    name = image("one")
    unpack(engine, name, tmp_path)
    inside = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /mnt && echo in && read x']
    user = subprocess.Popen(
        [*inside, str(tmp_path / name)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert user.stdout.readline() == "in\n"
    image("two")
    unpack(engine, name, tmp_path, keep_hours=0)
    assert len(trees(tmp_path, name)) == 2
    user.communicate("\n")
    unpack(engine, name, tmp_path, keep_hours=0)
    (left,) = trees(tmp_path, name)
    assert (left / "etc/text").read_text() == "two"


def test_an_image_that_is_not_there_is_said(engine, tmp_path):
    with pytest.raises(BuildFailed, match="python -m images.build nothing"):
        unpack(engine, "nothing", tmp_path)


def test_the_tree_and_what_is_beside_it_know_the_image(image, engine, tmp_path):
    """By its digest, which an image cannot know of itself: somebody may ask for that very one years later."""
    name = image("one")
    unpack(engine, name, tmp_path)
    known = engine.inspect(f"localhost/visa/{name}:latest")
    wanted = {
        "digest": "sha256:" + known["Id"],
        "revision": known["Labels"][RECIPE_LABEL],
        "packages": [
            {"type": "deb", "name": "bash", "version": "5.2"},
            {"type": "pypi", "name": "silx", "version": "3.1"},
        ],
    }
    for place in (tmp_path / name, (tmp_path / name).resolve()):
        said = software.of_result(str(place))
        assert {key: said[key] for key in wanted} == wanted
    # Where a job has mounted it, nothing is beside it.
    (tmp_path / "mounted").symlink_to(place)
    assert software.of_result(str(tmp_path / "mounted"))["digest"] == wanted["digest"]
