"""The images of techniques: applications paint windows, kernels run, treatments find what is known."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy
import pytest
import yaml
from PIL import Image

from images.recipe import IMAGES, Recipe

from .test_image import files_that_lend_rights, files_writable_by_all

TREE = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).parent.parent / "results"

#: What an application's own window is called.
TITLES = {
    "silx-view": "Silx viewer",
    "silx-compare": "Silx compare",
    "tomwer": "tomwer",
    "tomwer-stitching": "z-stitching",
    "pyfai-calib": "PyFAI Calibration",
    "pyfai-integrate": "pyFAI-integration",
    "pyfai-diffmap": "Diffraction imaging",
    "dioptas": "Dioptas",
    "pymca": "PyMca",
    "pymca-batch": "PyMca batch",
    "darfix": "darfix|Untitled|Orange Canvas",
    "imaged11": "ImageD11",
    "imagej": "ImageJ",
}


def applications(technique: str) -> list[str]:
    """What the image has: base's applications and its own."""
    entries = [p.stem for layer in Recipe(technique, "bookworm").layers for p in layer.rglob("*.desktop")]
    return sorted(set(entries))


def test_a_profiles_applications_are_those_that_are_tried_here(technique):
    for path in (TREE / "profiles").glob("*.yaml"):
        described = yaml.safe_load(path.read_text())
        if described["image"] == technique:
            assert set(described["applications"]) <= set(applications(technique)), path


def test_every_application_paints_its_window(technique, work, tmp_path):
    """As the desktop starts them, as an ordinary uid, without a network and with an empty home."""
    names = applications(technique)
    work("python", "/inside/applications.py", *names, timeout=60 + 90 * len(names))
    RESULTS.mkdir(exist_ok=True)
    for picture in tmp_path.glob("*.png"):
        shutil.copy(picture, RESULTS / f"image-{technique}-{picture.name}")
    found = json.loads((tmp_path / "applications.json").read_text())
    faults = {name: fault for name in names if (fault := what_is_wrong(name, found[name], tmp_path))}
    assert faults == {}


def what_is_wrong(name: str, found: dict, out: Path) -> str:
    """In words, what of an application does not look as it should; empty where all does."""
    log = (out / f"{name}.log").read_text()
    if not found["runs"]:
        return f"it ended: {log[-800:]}"
    if not any(re.search(TITLES[name], title) for title in found["titles"]):
        return f"its windows are {found['titles']}: {log[-800:]}"
    if found["colours"] < 50 or found["blank"] > 0.97:
        return f"its window is blank: {found}"
    if any(re.search(r"(?i)error|traceback|exception", title) for title in found["titles"]):
        return f"it shows an error: {found['titles']}: {log[-800:]}"
    return ""


def test_a_blank_window_and_one_of_another_name_are_found_wrong(tmp_path):
    (tmp_path / "silx-view.log").write_text("why")
    fine = {"runs": True, "titles": ["Silx viewer"], "colours": 300, "blank": 0.6}
    assert what_is_wrong("silx-view", fine, tmp_path) == ""
    for changed in (
        {"runs": False},
        {"titles": ["xterm"]},
        {"titles": []},
        {"colours": 2, "blank": 0.9},
        {"blank": 0.999},
        {"titles": ["Silx viewer", "Error"]},
    ):
        assert what_is_wrong("silx-view", fine | changed, tmp_path), changed


def test_an_application_has_an_entry_with_an_icon_that_is_there(technique, technique_tree):
    for name in applications(technique):
        text = (technique_tree / f"usr/share/applications/{name}.desktop").read_text()
        settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
        program = settings["TryExec"]
        places = [technique_tree / place / program for place in ("opt/visa/venv/bin", "usr/bin")]
        assert any(place.exists() for place in places), program
        (icon,) = (technique_tree / "usr/share/pixmaps").glob(f"{settings['Icon']}.*")
        if icon.suffix == ".png":
            assert len(numpy.unique(numpy.asarray(Image.open(icon).convert("RGB")))) > 5, icon
        else:
            assert "<svg" in icon.read_text(), icon


def test_desktop_entries_are_valid(technique, work):
    names = [f"/usr/share/applications/{name}.desktop" for name in applications(technique)]
    assert work("desktop-file-validate", *names).stdout == ""


def test_its_kernel_is_called_by_its_name_and_runs_a_cell(technique, work):
    done = work("python", "/inside/plot.py")
    assert "image/png" in done.stdout and "uid 23456" in done.stdout
    listed = json.loads(work("jupyter", "kernelspec", "list", "--json").stdout)["kernelspecs"]
    said = yaml.safe_load((IMAGES / technique / "recipe.yaml").read_text())["kernel"]
    assert [it["spec"]["display_name"] for it in listed.values()] == [said]


def test_no_file_lends_its_owners_rights_and_none_is_writable_by_all(technique_tree):
    assert files_that_lend_rights(technique_tree) == []
    assert files_writable_by_all(technique_tree) == []


def test_packages_of_the_lock_are_in_the_image_in_that_version(technique, technique_tree):
    listed = set((technique_tree / "opt/visa/packages.txt").read_text().lower().split("\n"))
    lock = (IMAGES / technique / "requirements.lock").read_text()
    wanted = re.findall(r"^([a-z0-9-]+==\S+) \\$", lock, re.MULTILINE)
    assert wanted and [it for it in wanted if it not in listed] == []


# Treatments: the demo's measurements, whose truth is known ------------------------------------------
def test_its_treatment_finds_what_is_known(technique, work):
    measurement, check = TREATMENTS[technique]
    done = work("python", f"/inside/treatments/{technique}.py", f"/data/{measurement}.h5", timeout=180)
    check(json.loads(done.stdout.splitlines()[-1]))


def tomography(found):
    assert found["axis"] == pytest.approx(found["known axis"], abs=0.05), "pixels"
    assert found["astra"] < 0.07, "root mean square, of the phantom's largest value"
    assert found["nabu"] < 0.07, "the same, by nabu's own command"


def powder(found):
    assert found["found"]["distance"] == pytest.approx(found["known"]["distance"], abs=5e-5), "m"
    assert found["lattice"] == pytest.approx(4.1569, abs=3e-4), "LaB6, in angstrom"
    assert found["spread"] < 3e-4, "each ring says the same"


def fluorescence(found):
    assert found["present"] and found["absent"]
    for element in found["present"]:
        assert found["areas"][element] == pytest.approx(found["known"][element], rel=0.1), element
    smallest = min(found["areas"][element] for element in found["present"])
    for element in found["absent"]:
        assert found["areas"][element] < 0.02 * smallest, element
    assert set(found["peaks"]) == set(found["present"]), "by xraylarch's tables, without a fit"


def diffraction(found):
    assert found["peaks"] > 300 and found["rings"] >= 9, "of 18 rings, the strong ones"
    assert found["dials"].startswith("DIALS 3."), "Debian's, not PyPI's of that name"
    assert found["on rings"] > 0.85 > 5 * found["by chance"], "the share of peaks that lie on one"


def general(found):
    assert found["radius"] == pytest.approx(found["known radius"], rel=0.02), "nm"
    assert 0 < found["packed"] < 0.5 * found["unpacked"], (
        "bitshuffle and LZ4 pack it, and it comes back the same"
    )
    assert found["same"]


#: By recipe: the measurement it is given, and what must come of it.
TREATMENTS = {
    "tomography": ("tomography", tomography),
    "powder": ("diffraction", powder),
    "fluorescence": ("fluorescence", fluorescence),
    "diffraction": ("diffraction", diffraction),
    "general": ("saxs", general),
}
