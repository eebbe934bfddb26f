"""`visa profiles check` on files of every kind of mistake; with images in tests/visa_spawner/backends."""

import subprocess
import sys
from pathlib import Path

import pytest
from test_spawner_profiles import TOMOGRAPHY, write

from visa_spawner.command.__main__ import main

ROOT = Path(__file__).parents[3]


def check(capsys, *arguments):
    code = main(["profiles", "check", *map(str, arguments)])
    return code, capsys.readouterr().out.splitlines()


@pytest.fixture
def profiles(tmp_path):
    """Profiles beside the recipes that they name."""
    for name in ("profiles", "images/tomography"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images/tomography/recipe.yaml").write_text("title: Tomography\n")
    return write(tmp_path / "profiles", TOMOGRAPHY).resolve()


def test_all_is_well(profiles, capsys):
    assert check(capsys, profiles, "--no-images") == (
        0,
        ["1 profile: all is well; images were not looked at."],
    )


def test_every_mistake_of_every_file_is_told(profiles, capsys):
    text = TOMOGRAPHY.replace("memory: 64G", "memory: 64").replace("backend: vm", "backend: cloud")
    write(profiles, text.replace("image: tomography", "imaeg: tomography"))
    write(profiles, "name: a\ntitle: b\n}\n", "broken.yaml")
    write(profiles, TOMOGRAPHY.replace("name: tomography", "name: good"), "good.yaml")
    code, lines = check(capsys, profiles, "--no-images")
    assert code == 1
    file = profiles / "tomography.yaml"
    assert lines[0].startswith(f"{profiles / 'broken.yaml'}, line 3: not valid YAML")
    assert lines[1:-1] == [
        f"{file}, line 1, image: is missing",
        f"{file}, line 5, imaeg: no such field",
        f"{file}, line 11, plans.gpu.memory: must be a whole number and a unit, such as 16G"
        " (units: K, M, G, T)",
        f"{file}, line 13, plans.machine.backend: no such backend; known: container, slurm, vm",
    ]
    assert lines[-1] == "3 profiles: 5 mistakes in 2 of them."


def test_a_recipe_that_is_not_there(profiles, capsys):
    write(profiles, TOMOGRAPHY.replace("image: tomography", "image: tomograpy"))
    recipes = profiles.parent / "images"
    said = f"{profiles / 'tomography.yaml'}, line 5, image: there is no recipe tomograpy in {recipes}"
    assert check(capsys, profiles, "--no-images") == (1, [said, "1 profile: 1 mistake in 1 of them."])


def test_a_folder_without_profiles(tmp_path, capsys):
    code, lines = check(capsys, tmp_path, "--no-images")
    assert (code, len(lines)) == (1, 1)
    assert "there is no profile" in lines[0]
    assert check(capsys, tmp_path / "none")[0] == 1


def test_an_engine_that_does_not_answer(profiles, capsys, tmp_path):
    code, lines = check(capsys, profiles, "--engine", f"unix://{tmp_path}/none.sock")
    assert code == 1
    assert lines[0].startswith(f"{profiles / 'tomography.yaml'}, line 5, image: the engine at unix://")


def test_the_trees_of_a_cluster(profiles, capsys, tmp_path):
    trees = f"{tmp_path}/trees/{{recipe}}"
    options = (profiles, "--trees", trees, "--engine", f"unix://{tmp_path}/none.sock")
    tree = tmp_path / "trees/tomography"
    assert f"image: there is no unpacked image {tree}" in check(capsys, *options)[1][1]
    applications = tree / "usr/share/applications"
    applications.mkdir(parents=True)
    (applications / "silx-view.desktop").touch()
    told = [line for line in check(capsys, *options)[1] if "applications" in line]
    assert told == [
        f"{profiles / 'tomography.yaml'}, line 6, applications.1:"
        f" the image tomography has no application tomwer ({trees})"
    ]


def test_the_profiles_that_we_ship_have_no_mistake():
    command = [sys.executable, "-m", "visa_spawner.command", "profiles", "check", "--no-images"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_subject_is_no_traceback():
    command = [sys.executable, "-m", "visa_spawner.command"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: visa ")
