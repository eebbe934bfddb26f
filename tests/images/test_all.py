"""One command for every result: each form of what was named, and what fails does not stop the others."""

from __future__ import annotations

import json

import pytest

from images import all as everything
from images import build
from tests.images.small import engine, image

__all__ = ["engine", "image"]


def test_each_form_is_made_once(image, tmp_path, monkeypatch, capsys):
    name, built = image("one"), []
    # The small image has no recipe; what builds recipes has tests of its own.
    monkeypatch.setattr(build, "main", lambda names: built.append(names) or 0)
    command = [str(tmp_path), name, name, "--as", "tree", "--as", "squashfs"]
    assert everything.main(command) == 0
    assert built == [[name]]
    assert (tmp_path / name / "etc/text").read_text() == "one"
    assert (tmp_path / f"{name}.squashfs").is_file()
    described = {json.loads((tmp_path / f"{name}{it}.json").read_text())["form"] for it in ("", ".squashfs")}
    assert described == {"tree", "squashfs"}
    capsys.readouterr()
    assert everything.main(command) == 0
    assert capsys.readouterr().out.count("up to date") == 2


def test_what_fails_is_told_and_the_others_are_made(image, tmp_path, monkeypatch, capsys):
    name = image("two")
    monkeypatch.setattr(build, "main", lambda names: 0)
    assert everything.main([str(tmp_path), "there-is-none", name, "--as", "tree"]) == 1
    assert "there is no image localhost/visa/there-is-none:latest" in capsys.readouterr().err
    assert (tmp_path / name / "etc/text").read_text() == "two"


@pytest.mark.parametrize("forms", [[], ["--as", "zip"]])
def test_a_form_must_be_named(tmp_path, forms, capsys):
    with pytest.raises(SystemExit):
        everything.main([str(tmp_path), "base", *forms])
    assert "--as" in capsys.readouterr().err
