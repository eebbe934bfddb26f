"""Lock files: what a refresh changed, and what a technique adds to base's."""

from __future__ import annotations

import pytest

from images.lock import changes, entries, main, pins, versions
from images.recipe import blocks

OLD = """# Made by a command
a==1.0 \\
    --hash=sha256:aa
b==2 ; python_full_version < '3.12' \\
    --hash=sha256:bb
b==3 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
gone==1 \\
    --hash=sha256:dd
"""
NEW = """a==1.1 \\
    --hash=sha256:ee
b==2 ; python_full_version < '3.12' \\
    --hash=sha256:bb
b==3 ; python_full_version >= '3.12' \\
    --hash=sha256:cc
come==5 \\
    --hash=sha256:ff
"""


def test_what_changed_is_told_by_package():
    assert changes(OLD, NEW) == ["a: 1.0 -> 1.1", "come: not there -> 5", "gone: 1 -> not there"]
    assert changes(OLD, OLD) == []
    assert changes("", "a==1 \\\n")[0] == "a: not there -> 1"


def test_a_package_with_several_markers_is_kept_whole():
    assert pins(OLD) == [
        "a==1.0",
        "b==2 ; python_full_version < '3.12'",
        "b==3 ; python_full_version >= '3.12'",
        "gone==1",
    ]
    assert list(blocks(OLD)) == ["a", "b", "gone"]
    assert entries(OLD, lambda name: name == "b").count("--hash") == 2
    assert versions(OLD)["b"] == "2 ; python_full_version < '3.12', 3 ; python_full_version >= '3.12'"


def test_an_unknown_recipe_is_refused_by_name(capsys):
    with pytest.raises(SystemExit):
        main(["powder", "nothing"])
    assert "no recipe nothing: there are base, diffraction" in capsys.readouterr().err
