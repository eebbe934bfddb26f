"""The welcome notebook in the real image, with its own kernel, on whatever a session may have."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

import h5py
import numpy as np
import pytest
from PIL import Image

from demo.facility import diffraction, fluorescence, saxs, tomography
from demo.facility.beamtimes import MEASUREMENTS, Measurement
from demo.facility.nexus import Heading, Job, write_master
from demo.facility.recipe import Size
from visa_session.contract import INFO_VARIABLE, DatasetInfo, ExperimentInfo, SessionInfo

from .conftest import INSIDE, LOCKED_DOWN

RESULTS = Path(__file__).parent.parent / "results"
SIZE = Size("Pilatus300k", ramp=3, angles=60, slices=6, columns=128, map_rows=16, map_columns=20, series=3)
TECHNIQUES = {m.__name__.rsplit(".", 1)[1]: m for m in (diffraction, tomography, fluorescence, saxs)}
ACCOUNT = "23456:34567"


def heading(title: str) -> Heading:
    began = datetime(2025, 3, 12, 9, tzinfo=UTC)
    return Heading(title, "id00", "hg1", "a sample", 12.0, began, began)


def measure(raw: Path, technique: str) -> list[str]:
    """Data of a technique as the facility lays them out: a folder a dataset, and a master above."""
    names = {}
    for values in MEASUREMENTS[technique][:2]:
        what = Measurement(*values)
        path = raw / what.collection / what.name / f"{what.name}.h5"
        path.parent.mkdir(parents=True)
        draw = [np.random.default_rng([seed, crc32(what.name.encode())]) for seed in (1, 2)]
        TECHNIQUES[technique].write(Job(path, what, heading(f"Made: {what.name}"), *draw, SIZE))
        names[f"{what.name}_1.1"] = str(path.relative_to(raw))
    write_master(raw / "all.h5", names, heading("all"))
    return [str(Path(path).parent) for path in names.values()]


class Welcome:
    """The data of one experiment, and the notebook run on them."""

    def __init__(self, engine, image: str, directory: Path):
        self.engine, self.image = engine, image
        self.raw, self.out = directory / "raw", directory / "out"
        self.raw.mkdir()
        self.out.mkdir()
        self.out.chmod(0o777)

    def run(self, *datasets: str, **about) -> dict:
        """What its cells showed, by their ids; fails where one of them fails."""
        chosen = tuple(DatasetInfo(path, Path(path).name, path) for path in datasets)
        experiment = ExperimentInfo(
            "HG-1", "A <b>study</b>", "id00", "test", "/data/raw", "/data/out", chosen
        )
        info = SessionInfo("alice", "s1", **{"experiments": (experiment,)} | about)
        name = f"visa-test-welcome-{uuid.uuid4().hex[:8]}"
        command = [self.engine.program, "run", "--rm", "--name", name, "--user", ACCOUNT, *LOCKED_DOWN]
        command += ["--read-only", "--tmpfs", "/tmp", "-e", "HOME=/data/out", "-w", "/data/out"]
        command += [
            "-v",
            f"{self.raw}:/data/raw:ro",
            "-v",
            f"{self.out}:/data/out",
            "-v",
            f"{INSIDE}:/inside:ro",
        ]
        command += ["-e", f"{INFO_VARIABLE}={info.to_json()}", self.image, "python", "/inside/welcome.py"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.engine.environment, timeout=200
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((self.out / "shown.json").read_text())

    def picture(self, name: str) -> np.ndarray:
        """What the plot looks like; it is kept for people to look at."""
        RESULTS.mkdir(exist_ok=True)
        shutil.copy(self.out / "plot-0.png", RESULTS / f"welcome-{name}.png")
        return np.asarray(Image.open(self.out / "plot-0.png").convert("RGB"))


@pytest.fixture
def welcome(engine, image, tmp_path):
    return Welcome(engine, image, tmp_path)


@pytest.mark.parametrize("technique", sorted(TECHNIQUES))
def test_the_first_data_of_each_technique_are_plotted(welcome, technique):
    measure(welcome.raw, technique)
    shown = welcome.run(profile_title="Rings & <i>more</i>", profile_help="First.\n\nThen.")
    assert "<h3>Rings &amp; &lt;i&gt;more&lt;/i&gt;</h3>" in shown["session"]["text"]
    assert "<p>First.</p><p>Then.</p>" in shown["session"]["text"]
    assert "HG-1: A &lt;b&gt;study&lt;/b&gt;" in shown["list"]["text"]
    assert "in raw: " in shown["list"]["text"] and "all.h5" in shown["list"]["text"]
    assert shown["find"]["text"].strip() == "/data/raw/all.h5"
    assert shown["plot"]["pictures"] == 1, shown["plot"]["text"]
    colours = len(np.unique(welcome.picture(technique).reshape(-1, 3), axis=0))
    assert colours > (30 if technique == "saxs" else 150), "a curve or an image, and no empty frame"


def test_chosen_datasets_come_first(welcome):
    folders = measure(welcome.raw, "fluorescence")
    shown = welcome.run(folders[1])
    assert shown["find"]["text"].strip() == f"/data/raw/{folders[1]}/{Path(folders[1]).name}.h5"
    assert f"chosen: /data/raw/{folders[1]}" in shown["list"]["text"]
    assert "in raw" not in shown["list"]["text"]
    assert shown["plot"]["pictures"] == 1


def plain(path: Path, **arrays) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


@pytest.mark.parametrize(
    ("name", "arrays", "pictures", "words"),
    [
        ("stack", {"a/b/stack": np.random.rand(4, 30, 40), "z": np.arange(5)}, 1, "/a/b/stack of"),
        ("curve", {"curve": np.arange(50) ** 2}, 1, "/curve of /data/raw/x.h5: 50, int64"),
        ("nan", {"a": np.full((5, 5), np.nan)}, 1, "5 x 5"),
        ("gaps", {"a": np.full((5, 5), -1)}, 1, "5 x 5"),
        ("thin", {"a": np.random.rand(400, 3)}, 1, "400 x 3"),
        ("nothing", {"text": "no numbers"}, 0, "/data/raw/x.h5 holds nothing to plot."),
        ("empty", {"none": np.zeros((0, 4))}, 0, "/data/raw/x.h5 holds nothing to plot."),
    ],
)
def test_files_that_mark_nothing(welcome, name, arrays, pictures, words):
    plain(welcome.raw / "x.h5", **arrays)
    shown = welcome.run()
    assert shown["plot"]["pictures"] == pictures
    assert words in shown["plot"]["text"]


def test_what_is_wrong_is_said_in_words(welcome):
    shown = welcome.run(experiments=())
    assert "This session was started without an experiment." in shown["list"]["text"]
    assert "There is no HDF5 file to show yet." in shown["find"]["text"]
    assert shown["plot"] == {"text": "", "pictures": 0}
    shown = welcome.run("gone/gone_0001")
    assert "/data/raw/gone/gone_0001 cannot be listed: No such file or directory." in shown["find"]["text"]
    (welcome.raw / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    assert "/data/raw/broken.h5 cannot be shown: " in welcome.run()["plot"]["text"]
    (welcome.raw / "broken.h5").unlink()
    write_master(welcome.raw / "all.h5", {"1.1": "gone.h5"}, heading("all"))
    assert "/data/raw/all.h5 cannot be shown: " in welcome.run()["plot"]["text"]


def test_a_folder_of_very_many_files_is_looked_at_and_no_more(welcome):
    for number in range(300):
        (welcome.raw / f"{number}.txt").touch()
    (welcome.raw / "deep/deeper").mkdir(parents=True)
    plain(welcome.raw / "deep/deeper/x.h5", a=np.arange(5))
    shown = welcome.run()
    assert shown["list"]["text"].count(".txt") <= 50
    assert "no HDF5 file" in shown["find"]["text"], "two folders down is not looked at"
