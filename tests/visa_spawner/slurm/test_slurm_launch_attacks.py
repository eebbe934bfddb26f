"""What the launcher must refuse: asked as root, by whoever has taken over a hub."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from slurm_desk import JOB, TOKEN, mark

from visa_spawner.backends.slurm import programs

ALICE = {"username": "alice", "uid": 20001, "gid": 20001, "home": "/home/alice"}


def changed(path, value):
    """A change at `a.b` of a whole request; a function makes the value of the one that was there."""

    def change(request):
        *above, last = path.split(".")
        for name in above:
            request = request[name]
        if value is DELETED:
            del request[last]
        else:
            request[last] = value

    return f"{path}={str(value)[:30]!r}", change


DELETED = object()
REQUESTS = [
    *(changed("do", value) for value in ("reboot", "", None, ["submit"], "Submit")),
    *(changed("extra", value) for value in ("", None, 1)),
    *(changed(name, DELETED) for name in ("do", "person", "mark", "job", "plan", "token")),
    *(changed(f"person.{name}", DELETED) for name in ALICE),
    changed("person.groups", [0]),
    changed("person.uid", "20001"),
    changed("person.uid", 20001.0),
    changed("person.uid", True),
    changed("person.uid", -1),
    changed("person.uid", 2**32),
    changed("person.username", "alice\n"),
    changed("person.username", "alice:x"),
    changed("person.username", ""),
    changed("person.username", ["alice"]),
    changed("person.home", "relative"),
    changed("person.home", "/home/\nalice"),
    changed("job.comment", "x"),
    changed("job.cpus", DELETED),
    *(changed(f"job.{name}", value) for name in ("cpus", "minutes") for value in ("1", 1.5, True, -1, None)),
    changed("job.cpus", 10**9),
    changed("job.gpus", "1 --uid=0"),
    *(
        changed(f"job.{name}", value)
        for name in ("partition", "account", "qos", "reservation", "gpu_type")
        for value in (
            "--uid=0",
            "-J",
            "main --uid=0",
            "a\nb",
            "a,b",
            "a;b",
            "$(id)",
            "a=b",
            "x" * 65,
            7,
            None,
        )
    ),
    changed("job.gpu_type", "a100:9"),
    changed("mark", "visa:desk:" + "0" * 31),
    changed("mark", "visa:desk:" + "0" * 31 + "G"),
    changed("mark", "visa:desk:" + "0" * 32 + "\n"),
    changed("mark", "visa:desk:../../../../etc/passwd.......32"),
    changed("mark", "visa:Desk:" + "0" * 32),
    changed("mark", 7),
    changed("token", "short"),
    changed("token", "with\nnewline" + TOKEN),
    changed("token", "x" * 513),
    changed("token", None),
    changed("plan.script", "#!/bin/sh"),
    changed("plan.runtime", 7),
    changed("plan.gpus", True),
    changed("plan.environment", []),
    changed("plan.command", "rm"),
    changed("plan", []),
    changed("plan.person.uid", 20002),
    changed("plan.person.username", "bob"),
]
NO_REQUESTS = [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * 2_000_000]
NO_REQUESTS += [b'{"do": "cancel", "do": "submit"}', b'{"do": NaN}']


def test_a_request_that_is_not_as_it_must_be_does_nothing(desk, slurm):
    for what, change in REQUESTS:
        request = desk.submission()
        change(request)
        answer = desk.ask(request)
        assert answer["refused"] == "request", what
        assert TOKEN not in json.dumps(answer), what
        assert not list(desk.spool.iterdir()), what
    assert not slurm.jobs()


def test_what_is_no_request_at_all(desk):
    for text in NO_REQUESTS:
        assert desk.ask(text)["refused"] == "request", text[:40]


def test_a_large_request_is_not_read_to_its_end(desk):
    request = desk.submission()
    request["plan"]["environment"]["LARGE"] = "x" * 2_000_000
    answer = desk.ask(request)
    assert answer == {"refused": "request", "text": "the request is larger than 1000000 bytes"}
    request["plan"]["environment"]["LARGE"] = "x" * 900_000
    assert "job" in desk.ask(request), "as large as it may be"


def test_a_request_that_does_not_end_is_given_up(desk):
    """Half of one is none: a hub that was killed while it wrote asks for nothing."""
    text = json.dumps(desk.submission()).encode()
    assert desk.ask(text[: len(text) // 2])["refused"] == "request"
    assert not list(desk.spool.iterdir())


STRANGERS = [
    {"username": "root", "uid": 0, "gid": 0},
    {"username": "daemon", "uid": 1, "gid": 1},
    {"username": "alice", "uid": 0, "gid": 20001},
    {"username": "alice", "uid": 20001, "gid": 0},
    {"username": "alice", "uid": 20002, "gid": 20002},
    {"username": "alice", "uid": 20001, "gid": 20002},
    {"username": "bob", "uid": 20001, "gid": 20001},
    {"username": "nobody-here", "uid": 20001, "gid": 20001},
    {"username": "20001", "uid": 20001, "gid": 20001},
    {"username": "--help", "uid": 20001, "gid": 20001},
]


def test_nobody_but_whom_the_machine_knows(desk, slurm):
    for stranger in STRANGERS:
        person = {"home": "/x"} | stranger
        submission = desk.submission(person=person)
        submission["plan"]["person"] |= stranger
        for request in (
            submission,
            {"do": "cancel", "person": person, "job": 1},
            {"do": "log", "person": person, "mark": mark(), "lines": 5},
            {"do": "forget", "person": person, "mark": mark()},
            {"do": "deliver", "person": person, "mark": mark(), "token": TOKEN},
            {"do": "extend", "person": person, "job": 1, "minutes": 5},
        ):
            assert desk.ask(request)["refused"] == "person", (request["do"], stranger)
    assert not list(desk.spool.iterdir()) and not slurm.jobs()


def test_an_account_in_group_0_has_no_sessions(desk, slurm):
    # Which groups there are, the C library says: it is shown a file with such a member.
    shown = desk.folder / "group"
    shown.write_text(re.sub(r"^root:x:0:.*", "root:x:0:alice", Path("/etc/group").read_text(), flags=re.M))
    shown.chmod(0o644)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/group && exec "$1"', shown, desk.program],
        input=json.dumps(desk.submission()),
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["refused"] == "person", done
    assert not slurm.jobs()


def test_only_what_root_allows(desk, slurm):
    desk.configure(partitions=["gpu"])
    for partition in ("main", "spare", ""):
        request = desk.submission(job=JOB | {"partition": partition})
        assert desk.ask(request)["refused"] == "not_allowed"
    assert "job" in desk.ask(desk.submission(job=JOB | {"partition": "gpu"}))
    desk.configure()
    for do in ({"do": "log", "lines": 5}, {"do": "forget"}, {"do": "deliver", "token": TOKEN}):
        request = do | {"person": desk.person(), "mark": mark("another-hub")}
        assert desk.ask(request) == {"refused": "not_allowed", "text": "the mark is another hub's"}
    desk.configure(min_uid=20002)
    assert desk.ask(desk.submission())["refused"] == "person"


# ---- The spool
def own_directory(desk, mode=0o700) -> Path:
    directory = desk.spool / "20001"
    directory.mkdir()
    os.chown(directory, 20001, 20001)
    directory.chmod(mode)
    return directory


def link_to_elsewhere(desk):
    elsewhere = desk.folder / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    os.chown(elsewhere, 20001, 20001)
    (desk.spool / "20001").symlink_to(elsewhere)


def anothers(desk):
    os.chown(own_directory(desk), 20002, 20002)


def open_to_others(desk):
    own_directory(desk, 0o750)


def a_file(desk):
    (desk.spool / "20001").write_text("")


@pytest.mark.parametrize("spoil", [link_to_elsewhere, anothers, open_to_others, a_file])
def test_a_spool_that_is_not_the_persons_alone(desk, slurm, spoil):
    spoil(desk)
    try:
        answer = desk.ask(desk.submission())
        assert answer["refused"] == "spool" and "spool" in answer["text"], answer
        assert not slurm.jobs()
        elsewhere = desk.folder / "elsewhere"
        assert not elsewhere.exists() or not list(elsewhere.iterdir())
    finally:
        if (desk.spool / "20001").is_file():
            (desk.spool / "20001").unlink()


def test_links_in_the_spool_lead_nowhere(desk, slurm):
    """A person can put anything there; what is written, read or removed stays in the directory, as them."""
    directory, request = own_directory(desk), desk.submission()
    nonce = request["mark"].rpartition(":")[2]
    treasure = desk.folder / "treasure"
    treasure.write_text("root's own")
    treasure.chmod(0o600)
    for name in ("plan", "plan.new", "token", "token.new", "log"):
        (directory / f"{nonce}.{name}").symlink_to(treasure)
    asked = {"person": desk.person(), "mark": request["mark"]}
    assert desk.ask(asked | {"do": "log", "lines": 5}) == {"lines": []}
    assert desk.ask(asked | {"do": "deliver", "token": TOKEN}) == {}
    token = directory / f"{nonce}.token"
    assert not token.is_symlink() and stat.S_IMODE(token.stat().st_mode) == 0o600
    assert desk.ask(asked | {"do": "forget"}) == {}
    assert treasure.read_text() == "root's own" and not list(directory.iterdir())
    os.mkfifo(directory / f"{nonce}.log")
    os.chown(directory / f"{nonce}.log", 20001, 20001)
    assert desk.ask(asked | {"do": "log", "lines": 5}) == {"lines": []}, "it does not wait for a writer"


def test_a_file_that_cannot_be_read_by_the_person_is_not_read_for_them(desk):
    directory, made = own_directory(desk), mark()
    secret = directory / f"{made.rpartition(':')[2]}.log"
    secret.write_text("root's own")
    secret.chmod(0o600)
    answer = desk.ask({"do": "log", "person": desk.person(), "mark": made, "lines": 5})
    assert answer == {"lines": []}


# ---- What it is started with
def writable_by_its_group(desk):
    desk.configuration.chmod(0o664)


def writable_by_all(desk):
    desk.configuration.chmod(0o646)


def not_roots(desk):
    os.chown(desk.configuration, 20001, 0)


def a_link(desk):
    desk.configuration.rename(desk.folder / "real.json")
    desk.configuration.symlink_to(desk.folder / "real.json")


def no_json(desk):
    desk.configuration.write_text("{")


def endless(desk):
    desk.configuration.write_text(" " * 100_000)


def missing(desk):
    desk.configuration.unlink()


def unknown(desk):
    desk.configure(sbatch_options="--uid=0")


def setting(**values):
    def spoil(desk):
        desk.configure(**values)

    spoil.__name__ = str(values)
    return spoil


SPOILT = [writable_by_its_group, writable_by_all, not_roots, a_link, no_json, endless, missing, unknown]
SPOILT += [
    setting(**values)
    for values in (
        {"sbatch": "sbatch"},
        {"sbatch": "/usr/../bin/sbatch"},
        {"spool": "/spool"},
        {"spool": "/{uid}/spool"},
        {"spool": "/spool/%u/{uid}"},
        {"min_uid": 0},
        {"min_uid": "1000"},
        {"partitions": "main"},
        {"partitions": ["--uid=0"]},
        {"extend": "yes"},
        {"hub_id": "Hub"},
        {"timeout": 0},
        {"node_program": ""},
    )
]


def test_a_configuration_that_must_not_be_trusted(desk):
    for spoil in SPOILT:
        spoil(desk)
        try:
            said = desk.refuses_to_run()
            assert said.startswith(f"visa-slurm-launch: {desk.configuration}"), spoil.__name__
        finally:
            desk.configuration.unlink(missing_ok=True)
            (desk.folder / "real.json").unlink(missing_ok=True)
            desk.configure()


def test_it_does_not_run_as_anybody_else_nor_with_arguments(desk):
    assert "must be run as root" in desk.refuses_to_run(user=20001, group=20001, extra_groups=[])
    assert "takes no arguments" in desk.refuses_to_run("/tmp/other.json")


def test_the_environment_of_who_starts_it_has_no_say(desk, slurm, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('mine')")
    environment = {"PYTHONPATH": str(tmp_path), "SBATCH_PARTITION": "moon", "SLURM_CONF": "/dev/null"}
    environment |= {"LD_LIBRARY_PATH": str(tmp_path), "PATH": str(tmp_path), "SBATCH_UID": "0"}
    done = subprocess.run(
        [desk.program], input=json.dumps(desk.submission()).encode(), capture_output=True, env=environment
    )
    job = json.loads(done.stdout)["job"]
    assert slurm.job(job)["Partition"] == "main"


def test_nothing_else_of_the_package_is_in_it(desk):
    """Standard library alone: it runs with nothing installed."""
    for program in (desk.program, desk.node_program):
        names = zipfile.ZipFile(program).namelist()
        parts = {"launch": programs.LAUNCH == program.name, "node": programs.NODE == program.name}
        for name, wanted in parts.items():
            assert any(f"/slurm/{name}/" in one for one in names) == wanted
    isolated = shutil.which("python3", path="/usr/bin")
    done = subprocess.run([isolated, "-I", "-S", desk.node_program], capture_output=True, text=True)
    assert done.returncode == 73 and "started by a job of VISA's alone" in done.stderr
