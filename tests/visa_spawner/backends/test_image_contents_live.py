"""What a real engine says of an image that a profile names."""

import pytest
from engines import RECIPE, remove_all

from tests.visa_spawner.profiles.test_spawner_profiles import TOMOGRAPHY
from visa_spawner.backends.image_contents import LocalImages, NoImage
from visa_spawner.command.__main__ import main

TEMPLATE = "localhost/visa/{recipe}:latest"


def test_applications_of_an_image(engine):
    images = LocalImages(engine.address, TEMPLATE)
    before = engine.client.containers(all=True)
    assert images.applications(RECIPE) == {"silx-view"}
    with pytest.raises(
        NoImage, match="there is no image localhost/visa/none:latest at unix://.*images.build none"
    ):
        images.applications("none")
    assert engine.client.containers(all=True) == before
    remove_all(engine)


def test_profiles_are_held_against_the_image(podman, tmp_path, capsys):
    text = TOMOGRAPHY.replace("image: tomography", f"image: {RECIPE}")
    (tmp_path / "tomography.yaml").write_text(text)
    assert main(["profiles", "check", str(tmp_path), "--engine", podman.address]) == 1
    lines = capsys.readouterr().out.splitlines()
    file = tmp_path / "tomography.yaml"
    assert lines[0] == (
        f"{file}, line 6, applications.1: the image {RECIPE} has no application tomwer ({podman.address})"
    )
    file.write_text(text.replace("[silx-view, tomwer]", "[silx-view]"))
    assert main(["profiles", "check", str(tmp_path), "--engine", podman.address]) == 0
    assert capsys.readouterr().out == "1 profile: all is well.\n"
