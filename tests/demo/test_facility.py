"""The demo's facility: whose its directories are, and that making it harms nothing."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import h5py
import pytest

from demo.facility.make import make_facility
from demo.facility.recipe import Recipe, Size
from demo.facility.tree import MARKER, NotOurs
from visa_catalogue import Query, open_catalogue
from visa_catalogue.access import OPEN_DATA, why_visible
from visa_catalogue.account import Account

SMALL = Recipe(
    proposals=6,
    archive=40,
    size=Size("Pilatus100k", ramp=2, angles=20, slices=2, columns=32, map_rows=4, map_columns=5, series=2),
)
REPOSITORY = Path(__file__).parents[2]
TODAY = date(2026, 11, 22)


def folders(root: Path) -> tuple[Path, Path, Path]:
    return root / "data/visitor", root / "data/home", root / "out"


def make(root: Path, recipe: Recipe = SMALL, today: date = TODAY) -> None:
    make_facility(*folders(root), recipe, today=today)


@pytest.fixture(scope="module")
def root():
    # Not below pytest's own directory, which other accounts may not enter.
    with tempfile.TemporaryDirectory(prefix="facility-", dir="/var/tmp") as root:
        os.chmod(root, 0o755)
        make(Path(root))
        yield Path(root)


@pytest.fixture
def copy(root):
    """A facility to change."""
    other = Path(tempfile.mkdtemp(prefix="facility-", dir="/var/tmp"))
    os.chmod(other, 0o755)
    subprocess.run(["cp", "-a", f"{root}/.", other], check=True)
    make(other)  # its catalogue and accounts name their own paths
    yield other
    shutil.rmtree(other)


def accounts(root: Path) -> dict:
    return json.loads((root / "out/accounts.json").read_text())


def catalogue(root: Path):
    found = open_catalogue(f"file://{root}/out/experiments.jsonl")
    found.today = lambda: TODAY
    return found


def measured(root: Path) -> list:
    return [e for e in catalogue(root)._contents.experiments if os.path.exists(e.raw)]


def as_account(account: dict, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command,
        user=account["uidNumber"],
        group=account["gidNumber"],
        extra_groups=account["gidNumbers"],
        check=False,
        umask=0o022,
        capture_output=True,
        text=True,
    )


def account_of(claims: dict) -> Account:
    return Account(
        username=claims["preferred_username"],
        roles=frozenset(claims["roles"]),
        teams=frozenset(claims["experiments"]),
        instruments=frozenset(claims["instruments"]),
    )


def test_everything_above_the_data_is_roots(root):
    for experiment in measured(root):
        above = Path(experiment.raw).parent
        while above != root:
            status = above.stat()
            assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 0, 0o755), above
            above = above.parent


def test_raw_data_are_roots_and_the_teams(root):
    opened = 0
    for experiment in measured(root):
        is_open = experiment.open_date <= TODAY
        opened += is_open
        gids = set()
        for path, _, files in os.walk(experiment.raw):
            for place, mode in [(Path(path), 0o755 if is_open else 0o750)] + [
                (Path(path, f), 0o644 if is_open else 0o640) for f in files
            ]:
                status = place.lstat()
                assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, mode), place
                gids.add(status.st_gid)
        assert len(gids) == 1 and 0 not in gids
    assert 0 < opened < len(measured(root))


def test_results_are_the_teams_to_write(root):
    for experiment in measured(root):
        status = os.stat(experiment.processed)
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o2770)
        assert status.st_gid == os.stat(experiment.raw).st_gid
    by_proposal = {(e.proposal, os.stat(e.raw).st_gid) for e in measured(root)}
    assert len(by_proposal) == len({p for p, _ in by_proposal}) == len({g for _, g in by_proposal})


def test_homes_are_private(root):
    for claims in accounts(root).values():
        status = os.stat(claims["homeDirectory"])
        assert stat.S_IMODE(status.st_mode) == 0o700
        assert (status.st_uid, status.st_gid) == (claims["uidNumber"], claims["gidNumber"])


ACCESS = 'for path; do test -r "$path" && may=r || may=-; test -w "$path" && may=${may}w; echo $may; done'


def test_disk_and_catalogue_agree_for_everyone(root):
    experiments = measured(root)
    masters = [f"{e.raw}/{e.proposal}_{e.instrument}.h5" for e in experiments]
    for claims in accounts(root).values():
        paths = [*masters, *(e.processed for e in experiments)]
        told = as_account(claims, "/bin/sh", "-c", ACCESS, "sh", *paths).stdout.split()
        expected = [why_visible(account_of(claims), e, TODAY) for e in experiments]
        assert told[: len(masters)] == ["r" if reason else "-" for reason in expected]
        assert told[len(masters) :] == [
            "rw" if reason not in (None, OPEN_DATA) else "-" for reason in expected
        ]


def test_what_a_member_writes_belongs_to_the_team(root):
    alice = accounts(root)["alice"]
    experiment = next(e for e in measured(root) if "alice" in e.team)
    result = f"{experiment.processed}/result.txt"
    assert as_account(alice, "/usr/bin/touch", result).returncode == 0
    assert os.stat(result).st_uid == alice["uidNumber"]
    assert os.stat(result).st_gid == os.stat(experiment.raw).st_gid
    for place in (experiment.raw, str(Path(experiment.raw).parent), str(root / "data/visitor")):
        assert "Permission denied" in as_account(alice, "/usr/bin/touch", f"{place}/x").stderr
    moved = as_account(alice, "/bin/mv", experiment.processed, f"{experiment.processed}.away")
    assert "Permission denied" in moved.stderr
    os.unlink(result)


def test_accounts_are_what_a_provider_needs(root):
    path = root / "out/accounts.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = accounts(root)
    assert [c["uidNumber"] for c in found.values()] == list(range(20001, 20009))
    keys = {
        *("password", "sub", "preferred_username", "name", "email", "uidNumber", "gidNumber", "gidNumbers"),
        *("homeDirectory", "roles", "experiments", "instruments"),
    }
    ids = {e.id for e in measured(root)}
    for username, claims in found.items():
        assert set(claims) == keys
        assert claims["preferred_username"] == username
        assert set(claims["experiments"]) <= ids
        assert claims["gidNumber"] not in claims["gidNumbers"]
        assert len(claims["password"]) >= 16
    assert len({c["password"] for c in found.values()}) == len(found)
    assert len({c["sub"] for c in found.values()}) == len(found)
    assert sorted(r for c in found.values() for r in c["roles"]) == sorted(
        ["scientist"] * 5 + ["instrument-scientist", "helpdesk", "administrator"]
    )
    assert found["sam"]["experiments"] == found["sam"]["gidNumbers"] == found["hugo"]["gidNumbers"] == []


async def test_each_scientist_sees_another_set(root):
    seen = {}
    for username, claims in accounts(root).items():
        page = await catalogue(root).search(account_of(claims), Query(scope="mine", limit=500))
        seen[username] = {e.id for e in page.experiments}
    scientists = [frozenset(seen[u]) for u in ("alice", "bob", "chloe", "dawid", "ines")]
    assert len(set(scientists)) == 5 and all(scientists)
    assert seen["sam"] == seen["hugo"] == set()
    everything = await catalogue(root).search(account_of(accounts(root)["ada"]), Query())
    assert everything.total == len(measured(root)) + SMALL.archive


async def test_datasets_are_listed_and_masters_lead_to_them(root):
    for experiment in measured(root):
        master = Path(experiment.raw, f"{experiment.proposal}_{experiment.instrument}.h5")
        listed = await catalogue(root).datasets(experiment.id)
        with h5py.File(master) as file:
            assert file.attrs["default"] in file
            assert sorted(file) == sorted(f"{d.name}_1.1" for d in listed)
            for dataset in listed:
                name = f"{dataset.name}_1.1"
                link = file.get(name, getlink=True)
                assert not link.filename.startswith("/")
                assert master.parent / link.filename == Path(dataset.path, f"{dataset.name}.h5")
                assert file[name].attrs["NX_class"] == "NXentry"
                assert experiment.title in file[name]["title"][()].decode()
                assert "truth" in file[name]


def digests(root: Path) -> dict[str, str]:
    data = root / "data/visitor"
    files = (p for p in data.rglob("*") if p.is_file())
    return {str(p.relative_to(data)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_recipe_makes_the_same_bytes(root):
    with tempfile.TemporaryDirectory(prefix="facility-", dir="/var/tmp") as other:
        make(Path(other))
        assert digests(Path(other)) == digests(root)
        first, second = accounts(root), accounts(Path(other))
        assert first["alice"]["password"] != second["alice"]["password"]
        assert first["alice"]["gidNumbers"] == second["alice"]["gidNumbers"]


SECOND_RUN = """
import datetime, pathlib, sys
from demo.facility.make import make_facility
from demo.facility.recipe import Recipe, Size
make_facility(*map(pathlib.Path, sys.argv[1:]), {recipe}, today={today}, say=lambda w: print(w, flush=True))
loaded = {{"h5py", "numpy", "pyFAI"}} & set(sys.modules)
print("loaded:", *sorted(loaded))
"""


def command(root: Path, recipe: Recipe = SMALL) -> list[str]:
    script = SECOND_RUN.format(recipe=recipe, today=repr(TODAY))
    return [sys.executable, "-c", script, *map(str, folders(root))]


def test_a_second_run_is_quick_and_changes_nothing(copy):
    def state():
        paths = [*(copy / "data").rglob("*"), copy / "out/experiments.jsonl"]
        return {str(p): (p.lstat().st_ino, p.lstat().st_mtime_ns, p.lstat().st_mode) for p in paths}

    before, known = state(), (copy / "out/accounts.json").read_text()
    began = os.times()
    done = subprocess.run(command(copy), check=True, cwd=REPOSITORY, capture_output=True, text=True)
    # Its own time, in seconds: what else the machine does must not fail this.
    spent = os.times()
    assert spent.children_user + spent.children_system - began.children_user - began.children_system < 1.0
    # That it did without the libraries that compute tells more than the clock.
    assert done.stdout.splitlines()[-1] == "loaded:"
    assert state() == before
    assert (copy / "out/accounts.json").read_text() == known


def test_another_recipe_makes_other_data_and_keeps_what_people_have(copy):
    experiment = measured(copy)[0]
    result = Path(experiment.processed, "result.txt")
    result.write_text("kept")
    at_home = Path(accounts(copy)["alice"]["homeDirectory"], "notes.txt")
    at_home.write_text("kept")
    before, known = digests(copy), accounts(copy)
    make(copy, Recipe(seed=7, proposals=6, archive=40, size=SMALL.size))
    assert result.read_text() == at_home.read_text() == "kept"
    assert accounts(copy) == known
    after = digests(copy)
    changed = {name for name in before if name.endswith(".h5") and after.get(name) != before[name]}
    assert any("scan_0001" in name for name in changed)


def test_data_that_become_open_may_be_read_by_everyone(copy):
    later = date(2040, 1, 1)
    make(copy, today=later)
    sam = accounts(copy)["sam"]
    for experiment in measured(copy):
        assert as_account(sam, "/bin/ls", experiment.raw).returncode == 0
        assert as_account(sam, "/bin/ls", experiment.processed).returncode != 0


def test_a_kill_leaves_nothing_that_the_next_run_does_not_mend(root):
    with tempfile.TemporaryDirectory(prefix="facility-", dir="/var/tmp") as other:
        other = Path(other)
        process = subprocess.Popen(command(other), cwd=REPOSITORY, stdout=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 60
            while len(list(other.glob("data/visitor/*/*/*/RAW_DATA"))) < 2:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.005)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        left = len(list(other.glob("data/visitor/*/*/*/RAW_DATA")))
        assert left < len(measured(root))
        make(other)
        assert digests(other) == digests(root)
        assert not [p for p in (other / "data").rglob(".*") if p.name != MARKER]


@pytest.mark.parametrize("which", [0, 1])
def test_two_runs_at_once_wait_for_each_other_and_say_so(copy, which):
    root = folders(copy)[which]
    (copy / "out/experiments.jsonl").unlink()
    held = os.open(root, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        process = subprocess.Popen(command(copy), cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == f"another run is making {root}: waiting until it is done\n"
        assert process.poll() is None
        assert not (copy / "out/experiments.jsonl").exists()
    finally:
        os.close(held)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (copy / "out/experiments.jsonl").exists()


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kind", ["empty", "full", "link", "file", "marker of another"])
def test_a_directory_that_is_not_ours_is_left_alone(root, tmp_path, which, kind):
    place = folders(tmp_path)[which]
    place.parent.mkdir(parents=True)
    if kind == "link":
        place.symlink_to(folders(root)[which])
    elif kind == "file":
        place.write_text("precious")
    else:
        place.mkdir()
    if kind == "full":
        (place / "precious").write_text("precious")
    if kind == "marker of another":
        (place / MARKER).write_text("{}")
        os.chown(place / MARKER, 20001, 20001)
    before = sorted(map(str, place.rglob("*")))
    with pytest.raises(NotOurs, match=str(place)):
        make(tmp_path)
    assert sorted(map(str, place.rglob("*"))) == before
    assert not (tmp_path / "out").exists()


def test_a_home_of_somebody_else_is_left_alone(copy):
    home = Path(accounts(copy)["bob"]["homeDirectory"])
    os.chown(home, 12345, 12345)
    with pytest.raises(NotOurs, match="bob is not a directory of uid 20002"):
        make(copy)
    assert home.stat().st_uid == 12345


def test_an_accounts_file_that_cannot_be_read_is_not_written_over(copy):
    path = copy / "out/accounts.json"
    path.write_text("{broken")
    with pytest.raises(ValueError, match="not an accounts file"):
        make(copy)
    assert path.read_text() == "{broken"
