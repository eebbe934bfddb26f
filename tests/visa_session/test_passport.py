"""The passport beside the results: made whole, anew, through no link, and never in the way of the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from visa_session import passport
from visa_session.contract import ExperimentInfo, SessionInfo
from visa_session.pages import template
from visa_session.passportpage import moment

from .hubside import TREE

NAME = "20261129T193614Z-s1.json"


@pytest.fixture
def results(tmp_path):
    """A team's directory, with set-group-id as facilities have it."""
    results = tmp_path / "processed"
    results.mkdir()
    results.chmod(0o2770)
    return results


def entry(id, *datasets):
    return {
        "id": id,
        "title": f"Title of {id}",
        "proposal": f"proposal-{id}",
        "instrument": f"instrument-{id}",
        "technique": f"technique-{id}",
        "datasets": [{"id": one, "name": f"name of {one}"} for one in datasets],
    }


def about(*entries):
    """A passport as the hub writes it, of a session with these experiments."""
    return {
        "visa_passport": 1,
        "session": "s1",
        "owner": "alice",
        "facility": "Lumen-Küste",
        "started": "2026-11-29T20:36:14+01:00",
        "profile": {"name": "tomography", "title": "Tomography", "revision": "r1"},
        "plan": {"name": "small", "title": "Small", "backend": "container", "cpus": 2, "memory": 2**32},
        "image": {"recipe": "tomography", "digest": "sha256:" + "0" * 64, "revision": "r2", "created": ""},
        "packages": [{"type": "deb", "name": "libc6", "version": "2.41"}],
        "experiments": list(entries),
        "options": {
            "experiments": [one["id"] for one in entries],
            "datasets": [dataset["id"] for one in entries for dataset in one["datasets"]],
            "profile": "tomography",
            "plan": "small",
            "interface": "lab",
        },
    }


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "passport.json"
    path.write_text(json.dumps(about(entry("A", "scan-1"))))
    return path


def leave(results, written, wished=True, **others):
    experiments = (ExperimentInfo("none"), ExperimentInfo("A", processed=str(results)))
    info = SessionInfo("alice", "s1", experiments=experiments, passport_in_processed=wished, **others)
    passport.leave(info, str(written))


def test_it_is_left_with_each_experiment_that_has_results(results, written):
    leave(results, written)
    left = results / "visa-passports" / NAME
    assert left.read_bytes() == written.read_bytes()
    assert left.stat().st_mode & 0o777 == 0o444
    assert left.parent.stat().st_mode & 0o7777 == 0o2770, "the team's, as what it stands in"


def test_a_team_reads_nothing_of_the_sessions_other_experiments(tmp_path, written):
    of_a, of_b = entry("EXP-A", "ds-a1", "ds-a2"), entry("EXP-B", "ds-b1")
    written.write_text(json.dumps(about(of_a, of_b), ensure_ascii=False), "utf-8")
    places = {"EXP-A": tmp_path / "a", "EXP-B": tmp_path / "b"}
    for place in places.values():
        place.mkdir()
    experiments = tuple(ExperimentInfo(id, processed=str(place)) for id, place in places.items())
    info = SessionInfo("alice", "s1", experiments=experiments, passport_in_processed=True)
    passport.leave(info, str(written))
    for own, other in ((of_a, of_b), (of_b, of_a)):
        content = (places[own["id"]] / "visa-passports" / NAME).read_bytes()
        of_other = [value for value in other.values() if isinstance(value, str)]
        of_other += [value for dataset in other["datasets"] for value in dataset.values()]
        assert [word for word in of_other if word.encode() in content] == []
        assert json.loads(content) == about(own), "and all else as it was written"


def test_an_experiment_that_keeps_no_results_is_another_one_too(results, written):
    written.write_text(json.dumps(about(entry("A"), entry("none", "ds-none"))))
    leave(results, written)
    assert json.loads((results / "visa-passports" / NAME).read_bytes()) == about(entry("A"))


@pytest.mark.parametrize("mode", [0o2770, 0o2750, 0o2777, 0o2700])
@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_the_folder_is_as_open_as_what_it_stands_in_whatever_the_umask(results, written, mode, mask):
    results.chmod(mode)
    before = os.umask(mask)
    try:
        leave(results, written)
        assert os.umask(mask) == mask, "as it was for whatever comes next"
    finally:
        os.umask(before)
    assert (results / "visa-passports").stat().st_mode & 0o7777 == mode & 0o2775


def test_a_private_directory_put_in_the_place_of_the_folder_stays_private(
    results, written, tmp_path, monkeypatch
):
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    really = os.open

    def swapped(path, *rest, **where):
        if path == passport.FOLDER:
            (results / passport.FOLDER).rename(tmp_path / "made")
            private.rename(results / passport.FOLDER)
        return really(path, *rest, **where)

    monkeypatch.setattr(passport.os, "open", swapped)
    leave(results, written)
    assert (tmp_path / "made").is_dir()
    assert (results / passport.FOLDER).stat().st_mode & 0o7777 == 0o700


def test_only_where_the_site_wishes_it(results, written):
    leave(results, written, wished=False)
    assert list(results.iterdir()) == []


def test_what_is_there_stays(results, written):
    (results / "visa-passports").mkdir(mode=0o755)
    (results / "visa-passports").chmod(0o755)
    (results / "visa-passports" / NAME).write_text("another")
    leave(results, written)
    assert (results / "visa-passports" / NAME).read_text() == "another"
    assert (results / "visa-passports").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("place", ["folder", "file", "results"])
def test_it_goes_through_no_link(results, written, tmp_path, place, capfd):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if place == "folder":
        (results / "visa-passports").symlink_to(elsewhere)
    elif place == "file":
        (results / "visa-passports").mkdir()
        (results / "visa-passports" / NAME).symlink_to(elsewhere / "made")
    else:
        results.rmdir()
        results.symlink_to(elsewhere)
    leave(results, written)
    assert list(elsewhere.iterdir()) == []
    if place != "file":
        assert f"no passport is left in {results}" in capfd.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"started": 5}',
        '{"started": "../../x"}',
        "\xff",
        "[" * 100_000,
        '{"started": "2026-11-29T20:36:14Z"}',
        '{"started": "2026-11-29T20:36:14Z", "experiments": [[]], "options": {"experiments": []}}',
        '{"started": "2026-11-29T20:36:14Z", "experiments": [{"id": "B"}], "options": []}',
    ],
)
def test_one_that_is_none_ends_nothing(results, written, text, capfd):
    written.write_bytes(text.encode("latin-1"))
    leave(results, written)
    written.unlink()
    leave(results, written)
    assert list(results.iterdir()) == []
    assert capfd.readouterr().err.count("no passport is left beside the results") == 2


def test_a_name_is_never_a_path():
    values = {"started": "2026-11-29T19:36:14+00:00"}
    assert passport.file_name(values, "../../x y") == "20261129T193614Z-xy.json"
    assert passport.file_name(values, "") == "20261129T193614Z-default.json"


def test_one_that_does_not_fit_is_taken_away(results, written, monkeypatch, capfd):
    class Full:
        def __init__(self, descriptor, mode):
            os.close(descriptor)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, content):
            raise OSError(28, "No space left on device")

    read = passport.read(str(written))
    monkeypatch.setattr(passport, "read", lambda path: read)
    monkeypatch.setattr(passport, "open", Full, raising=False)
    leave(results, written)
    assert list((results / "visa-passports").iterdir()) == []
    assert "No space left on device" in capfd.readouterr().err


SUPERVISED = """
import os, sys, time
from visa_session.supervise import supervise
def serve():
    print("serving", flush=True)
    time.sleep(60 if sys.argv[1] == "asked" else 0)
    return 3
def last():
    print("last", flush=True)
    if sys.argv[2] == "hangs":
        time.sleep(60)
    if sys.argv[2] == "fails":
        raise RuntimeError("broken")
    print("done", flush=True)
sys.exit(supervise(serve, last))
"""


@pytest.mark.parametrize("how", ["asked", "by itself"])
@pytest.mark.parametrize("work", ["works", "hangs", "fails"])
def test_the_last_work_is_done_once_and_delays_the_end_by_no_more_than_a_second(how, work):
    command = [sys.executable, "-c", SUPERVISED, how, work]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env={"PYTHONPATH": str(TREE)}) as process:
        assert process.stdout.readline() == "serving\n"
        begun = time.monotonic()
        if how == "asked":
            process.send_signal(signal.SIGTERM)
        said, errors = process.communicate(timeout=20)
    assert time.monotonic() - begun < 2.5
    assert said.split() == (["last", "done"] if work == "works" else ["last"])
    assert process.returncode == (0 if how == "asked" else 3)
    assert ("broken" in errors) == (work == "fails")


def test_its_page_has_times_and_cores_as_people_write_them():
    values = about(entry("A")) | {"started": "2026-11-29T20:36:14+01:00"}
    values["plan"] |= {"cpus": 2.0}
    page = template("passport.html").render(passport=values, words="", base="/", moment=moment)
    for said in ("29 Nov 2026, 19:36 UTC", "<bdi>2</bdi>", "All of its data."):
        assert said in page
    assert "Built" not in page
    assert (moment("no time"), moment(5)) == ("no time", 5)
