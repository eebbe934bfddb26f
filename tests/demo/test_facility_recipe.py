"""What the demo's facility holds as a whole, and how its command answers."""

import subprocess
import sys
from pathlib import Path

from demo.facility.beamtimes import archive, beamtimes
from demo.facility.make import write_catalogue
from demo.facility.recipe import Recipe
from visa_catalogue import Query, open_catalogue
from visa_catalogue.account import Account

REPOSITORY = Path(__file__).parents[2]


async def test_the_whole_recipe_has_forty_experiments_and_the_archive(tmp_path):
    recipe, data = Recipe(), Path("/data/visitor")
    whole = beamtimes(data, recipe.seed, recipe.proposals)
    assert len(whole) == 40
    assert len({b.experiment.instrument for b in whole}) == 4
    path = tmp_path / "experiments.jsonl"
    write_catalogue(path, whole, archive(data, recipe.seed, recipe.archive))
    page = await open_catalogue(f"file://{path}").search(
        Account(username="a", roles={"administrator"}), Query()
    )
    assert page.total == 2040
    assert all(count > 100 for count in page.instruments.values())
    assert not {e.raw for e in archive(data, recipe.seed, recipe.archive)} & {b.experiment.raw for b in whole}
    for user in ("alice", "bob", "chloe", "dawid"):
        assert len({b.experiment.technique for b in whole if user in b.experiment.team}) == 4


def test_only_root_can_make_it(tmp_path):
    script = (
        "import os; from pathlib import Path; from demo.facility.make import make_facility\n"
        "os.setuid(65534)\n"
        "make_facility(Path('/nowhere/a'), Path('/nowhere/b'), Path('/nowhere/c'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert "PermissionError: only root" in done.stderr


def test_the_command_says_what_is_in_the_way(tmp_path):
    (tmp_path / "data").mkdir()
    places = ["--data", tmp_path / "data", "--homes", tmp_path / "homes", "--out", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "demo.facility", *places],
        check=False,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"the demo's facility cannot be made: {tmp_path}/data exists")
