"""The node program by itself, as an ordinary account starts it in a job."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from visa_session import contract
from visa_session.contract import PASSPORT, ExperimentInfo, SessionInfo
from visa_spawner import words
from visa_spawner.backends.slurm import programs
from visa_spawner.backends.slurm.node import apptainer, environment, gpus, plan, spool
from visa_spawner.backends.slurm.node.passport import corrected

UID = 20951
NONCE = "0123456789abcdef" * 2
TOKEN = "a-token-of-the-hubs-0123456789"
#: What is executed in a session's place: says what it was given.
TELL = """
import json, os, sys
fields = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
print(json.dumps({
    "token": sys.stdin.read(), "environment": dict(os.environ),
    "descriptors": sorted(os.listdir("/proc/self/fd")),
    "blocked": int(fields["SigBlk"], 16), "cwd": os.getcwd(), "umask": fields["Umask"].strip(),
    "spool": sorted(os.listdir(os.environ["SPOOL"])),
}))
"""


class Box:
    """A spool of one account, and the program."""

    def __init__(self, folder: Path):
        self.folder, self.spool, self.program = folder, folder / str(UID), folder / programs.NODE
        self.spool.mkdir(mode=0o700)
        os.chown(self.spool, UID, UID)

    def plan(self, **changes) -> dict:
        info = SessionInfo(owner="anna", name="s", ends="2999-01-01T00:00:00+00:00")
        told = {"HOME": "/", "SPOOL": str(self.spool), "VISA_SESSION_INFO": info.to_json()}
        return {
            "runtime": "plain",
            "image": "/usr",
            "command": ["/usr/bin/python3", "-I", "-c", TELL],
            "person": {"username": "anna", "uid": UID, "gid": UID, "gids": [], "home": "/home/anna"},
            "binds": [],
            "short_ways": {},
            "texts": {},
            "environment": told | {"JUPYTERHUB_SERVICE_PREFIX": "/user/anna/s/"},
            "gpus": 0,
            "gpu_device": "/dev/nothing{index}",
            "gpu_common": [],
            "minutes": 60,
            "extra_binds": [],
            "tmp_bytes": 0,
            "listen": "127.0.21.9",
        } | changes

    def put(self, name: str, text: str) -> Path:
        """A file of the person's, put in place whole."""
        path = self.spool / f"{NONCE}.{name}"
        new = path.with_suffix(".put")
        new.write_text(text)
        os.chown(new, UID, UID)
        new.chmod(0o600)
        return new.rename(path)

    def start(self, **job: str) -> subprocess.Popen:
        return subprocess.Popen(
            [self.program, self.spool, NONCE],
            env={"PATH": "/usr/bin:/bin", "SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "3"} | job,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=UID,
            group=UID,
            extra_groups=[],
        )

    def told(self, process: subprocess.Popen) -> dict:
        out, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        return json.loads(out)

    def fails(self, **job: str) -> tuple[int, str]:
        process = self.start(**job)
        out, errors = process.communicate(timeout=30)
        assert out == "" and TOKEN not in errors
        return process.returncode, errors


@pytest.fixture
def box():
    folder = Path(tempfile.mkdtemp(prefix="visa-node-", dir="/var/lib"))
    folder.chmod(0o755)
    programs.write(folder)
    yield Box(folder)
    shutil.rmtree(folder)


def test_the_session_gets_what_is_meant_for_it_and_nothing_else(box):
    box.put("plan", json.dumps(box.plan()))
    box.put("token", f"0\n{TOKEN}\n")
    told = box.told(
        box.start(LD_LIBRARY_PATH="/x", SLURM_JOB_USER="anna", BASH_FUNC_x="() {", SLURM_NTASKS="2")
    )
    assert told["token"] == TOKEN
    assert told["spool"] == [f"{NONCE}.plan"], "the token's file is gone"
    # A descriptor more: the listing's own.
    assert told["descriptors"] == ["0", "1", "2", "3"]
    assert told["blocked"] & 1 << (signal.SIGTERM - 1), "waits for the session to listen"
    assert (told["cwd"], told["umask"]) == ("/", "0022")
    found = told["environment"]
    assert (
        found["SLURM_JOB_ID"] == "7" and found["SLURM_NTASKS"] == "2" and found["SLURM_CPUS_ON_NODE"] == "3"
    )
    assert found["JUPYTERHUB_SERVICE_URL"] == "http://127.0.21.9:0/user/anna/s/"
    assert found["VISA_TOKEN_STDIN"] == "1"
    assert not {"LD_LIBRARY_PATH", "SLURM_JOB_USER", "BASH_FUNC_x"} & set(found)
    ends = datetime.fromisoformat(SessionInfo.from_json(found["VISA_SESSION_INFO"]).ends)
    assert abs(ends - datetime.now(UTC) - timedelta(minutes=60)) < timedelta(minutes=1), (
        "the job's end is first"
    )


def test_a_job_that_starts_again_waits_for_a_token_of_its_own(box):
    box.put("plan", json.dumps(box.plan()))
    for run, wrong, right in (("1", "0", "-1"), ("2", "1", "2"), ("1", "what", "1")):
        old = box.put("token", f"{wrong}\nrevoked-{TOKEN}\n")
        process = box.start(SLURM_RESTART_COUNT=run)
        for _ in range(200):
            if not old.exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        assert not old.exists(), "one that was revoked is thrown away"
        box.put("token", f"{right}\n{TOKEN}\n")
        assert box.told(process)["token"] == TOKEN


def test_what_is_left_of_an_earlier_run_leaves_the_next_ones_token_alone(box, monkeypatch):
    """As on a node that is lost to the controller and still sees the spool."""
    monkeypatch.setattr(os, "getuid", lambda: UID)
    token = box.put("token", f"2\n{TOKEN}\n")
    with pytest.raises(plan.NotFit):
        spool.wait_for_token(str(box.spool), NONCE, 1, patience=0.3)
    assert token.exists()
    with os.fdopen(spool.wait_for_token(str(box.spool), NONCE, 2, patience=3)) as pipe:
        assert pipe.read() == TOKEN
    assert not token.exists()


def test_no_token_comes(box, monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: UID)
    box.put("plan", json.dumps(box.plan()))
    with pytest.raises(plan.NotFit) as gone:
        spool.wait_for_token(str(box.spool), NONCE, 1, patience=0.3)
    assert gone.value.code == contract.EXIT_NO_TOKEN
    assert "tell the staff" in words.of_end(contract.EXIT_NO_TOKEN, None, False)


def test_a_job_that_is_cancelled_while_it_waits_ends(box):
    box.put("plan", json.dumps(box.plan()))
    process = box.start()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM


def test_a_spool_or_a_plan_that_cannot_be_used(box):
    token = f"0\n{TOKEN}\n"
    code, said = box.fails()
    assert code == contract.EXIT_BAD_INFO and "is not in" in said, "it does not wait for ten minutes"
    for wrong in (
        "",
        "[]",
        json.dumps(box.plan(unknown=1)),
        json.dumps(box.plan(person={"username": "x", "uid": 1, "gid": 1, "gids": [], "home": "/x"})),
        json.dumps(box.plan(command=[])),
        json.dumps(box.plan(image="relative")),
        json.dumps(box.plan(runtime="docker")),
        json.dumps(box.plan(binds=[{"path": "/x/../y", "read_only": True}])),
        json.dumps(box.plan(environment={"A B": "x"})),
        json.dumps(box.plan(environment={})),
        json.dumps(box.plan(runtime="bubblewrap", image="/nonexistent")),
        json.dumps(box.plan(runtime="bubblewrap", binds=[{"path": "/nonexistent", "read_only": True}])),
    ):
        box.put("plan", wrong)
        box.put("token", token)
        code, said = box.fails()
        assert code == contract.EXIT_BAD_INFO and said.startswith("visa-slurm-node: "), wrong
        assert "Traceback" not in said
    home = {"username": "x", "uid": UID, "gid": UID, "gids": [], "home": "/nonexistent"}
    binds = [{"path": "/nonexistent", "read_only": False}]
    box.put("plan", json.dumps(box.plan(runtime="bubblewrap", person=home, binds=binds)))
    box.put("token", token)
    assert box.fails()[0] == contract.EXIT_HOME_UNUSABLE
    box.put("plan", json.dumps(box.plan()))
    os.chown(box.put("token", token), 0, 0)
    assert box.fails()[0] == contract.EXIT_BAD_INFO
    box.spool.chmod(0o750)
    assert box.fails()[0] == contract.EXIT_BAD_INFO


def test_all_gpus_that_were_promised_or_no_session(box):
    devices = box.folder / "dev"
    devices.mkdir()
    for number in (1, 3):
        subprocess.run(["mknod", "-m", "666", devices / f"n7-{number}", "c", "1", "3"], check=True)
    (devices / "n7-4").write_text("no device")
    wanted = box.plan(
        gpus=2, gpu_device=f"{devices}/{{node}}-{{index}}", gpu_common=["/dev/zero", "/dev/none"]
    )
    box.put("plan", json.dumps(wanted))
    for given in ("", "1", "1,2", "1,4", "1,x"):
        box.put("token", f"0\n{TOKEN}\n")
        code, said = box.fails(SLURM_JOB_GPUS=given, SLURMD_NODENAME="n7")
        assert code == contract.EXIT_GPU_MISSING and "GPU" in said, given
    box.put("token", f"0\n{TOKEN}\n")
    found = box.told(box.start(SLURM_JOB_GPUS="1,3", SLURMD_NODENAME="n7", CUDA_VISIBLE_DEVICES="0,1"))
    info = SessionInfo.from_json(found["environment"]["VISA_SESSION_INFO"])
    assert info.gpus == (f"{devices}/n7-1", f"{devices}/n7-3")
    assert found["environment"]["CUDA_VISIBLE_DEVICES"] == "0,1", "as Slurm counts them"


def some_plan(box, **changes) -> plan.Plan:
    values = box.plan(**changes)
    who = plan.Person(**values.pop("person") | {"gids": ()})
    binds = [tuple(plan.Bind(**bind) for bind in values.pop(name)) for name in ("binds", "extra_binds")]
    return plan.Plan(person=who, binds=binds[0], extra_binds=binds[1], **values)


def test_inside_of_an_image_gpus_are_counted_from_the_first(box):
    asked = some_plan(box, gpus=2, listen="::")
    job = {"SLURM_JOB_GPUS": "1,3", "CUDA_VISIBLE_DEVICES": "1,3", "ROCR_VISIBLE_DEVICES": "1,3"}
    made = environment.compose(asked, job, ["/dev/a", "/dev/b"], inside=True)
    assert made["CUDA_VISIBLE_DEVICES"] == made["ROCR_VISIBLE_DEVICES"] == "0,1"
    assert made["NVIDIA_VISIBLE_DEVICES"] == "1,3"
    assert made["JUPYTERHUB_SERVICE_URL"] == "http://[::]:0/user/anna/s/"
    assert "ZE_AFFINITY_MASK" not in made
    none = environment.compose(asked, {}, [], inside=True)
    assert (none["CUDA_VISIBLE_DEVICES"], none["NVIDIA_VISIBLE_DEVICES"]) == ("", "void")
    assert gpus.common(some_plan(box, gpu_common=["/dev/zero"]), []) == []


def test_a_session_that_ends_before_its_job_says_its_own_end(box):
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat(timespec="seconds")
    told = box.plan()["environment"]
    told["VISA_SESSION_INFO"] = SessionInfo(owner="anna", name="s", ends=soon).to_json()
    made = environment.compose(some_plan(box, environment=told), {}, [], inside=True)
    assert SessionInfo.from_json(made["VISA_SESSION_INFO"]).ends == soon


# ---- Apptainer
def test_apptainers_arguments_are_what_its_manual_says(box):
    asked = some_plan(box, image="/images/base.sif")
    made = apptainer.arguments(
        "/usr/bin/apptainer", asked, "/place/image", [apptainer.mount("/a,b", "/a,b", True)]
    )
    assert made == [
        *("/usr/bin/apptainer", "--silent", "exec", "--userns", "--containall", "--no-privs", "--no-eval"),
        *("--no-mount", "home,cwd,tmp,hostfs,bind-paths", "--pwd", "/"),
        *("--mount", 'type=bind,"source=/a,b","destination=/a,b",ro'),
        *("/place/image", "/usr/bin/env", "-u", "LD_LIBRARY_PATH", "-u", "PROMPT_COMMAND", "-u", "PS1"),
        *("HOME=/", "/usr/bin/python3", "-I", "-c", TELL),
    ]


PREPARE = """
import json, os, sys
from visa_spawner.backends.slurm.node import apptainer, plan
asked = plan.read(sys.stdin.buffer.read())
_, mounts = apptainer._prepare(asked, sys.argv[1])
try:
    open(asked.binds[0].path + "/below/new", "w")
    written = "yes"
except OSError as error:
    written = error.strerror
ways = sys.argv[1] + "/ways-experiments"
passport = open(ways + "/passport.json").read()
print(json.dumps([mounts, written, os.readlink(ways + "/a1/raw"), passport]))
"""


def test_what_apptainer_is_given_is_read_only_down_to_the_last_mount(box):
    raw = box.folder / "raw"
    (raw / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", raw / "below"], check=True)
    try:
        asked = box.plan(
            runtime="apptainer",
            binds=[{"path": str(raw), "read_only": True}],
            short_ways={"/experiments/a1/raw": str(raw)},
            texts={"/experiments/passport.json": "{}"},
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-c", PREPARE, box.spool],
            input=json.dumps(asked).encode(),
            env={"PYTHONPATH": str(box.program)},
            user=UID,
            group=UID,
            extra_groups=[],
            capture_output=True,
        )
        assert done.returncode == 0, done.stderr
        mounts, written, way, passport = json.loads(done.stdout)
        assert written == "Read-only file system" and way == str(raw) and passport == "{}"
        assert f"type=bind,source={raw},destination={raw},ro" in mounts
        targets = [mount.split("destination=")[1].split(",")[0] for mount in mounts]
        own = ["/tmp", "/var/tmp", "/dev/shm", "/etc/passwd", "/etc/group", "/etc/hosts"]
        assert targets == [str(raw), *own, "/experiments"]
    finally:
        subprocess.run(["umount", raw / "below"], check=True)


def test_the_passport_tells_of_the_tree_that_is_entered(tmp_path, box):
    (tmp_path / "opt/visa").mkdir(parents=True)
    (tmp_path / "opt/visa/packages.txt").write_text("# Debian\nzsh 5.9\n# Python\nsilx==3.1.3\nodd line\n")
    (tmp_path / "opt/visa/image.json").write_text('{"revision": "new", "created": "today", "recipe": "x"}')
    told = {"image": {"recipe": "base", "revision": "old"}, "packages": [], "session": "s"}
    Path(f"{tmp_path}.json").write_text(
        json.dumps({"image": "sha256:0123", "labels": {"org.visa.recipe": "x"}})
    )
    asked = box.plan(image=str(tmp_path), texts={PASSPORT: json.dumps(told)})
    entered = plan.Plan(**asked)
    passport = json.loads(corrected(entered).texts[PASSPORT])
    assert passport["image"] == {
        "recipe": "base",
        "revision": "new",
        "created": "today",
        "digest": "sha256:0123",
    }
    assert passport["packages"] == [
        {"type": "deb", "name": "zsh", "version": "5.9"},
        {"type": "pypi", "name": "silx", "version": "3.1.3"},
    ]
    assert passport["session"] == "s"
    # A SIF file tells no packages to whoever has not entered it, and says beside it what it is.
    sif = tmp_path / "base.sif"
    sif.touch()
    assert corrected(replace(entered, image=str(sif))).texts == entered.texts
    labels = {"org.visa.recipe": "new", "org.opencontainers.image.created": "then"}
    Path(f"{sif}.json").write_text(json.dumps({"image": "sha256:4567", "labels": labels}))
    said = json.loads(corrected(replace(entered, image=str(sif))).texts[PASSPORT])
    assert said["image"] == {"recipe": "base", "revision": "new", "created": "then", "digest": "sha256:4567"}
    assert said["packages"] == []
    other = replace(entered, image=str(tmp_path / "nothing"))
    assert corrected(other) is other
    for texts in ({}, {PASSPORT: "no JSON"}, {PASSPORT: "[]"}):
        other = replace(entered, texts=texts)
        assert corrected(other) is other


def test_a_runtime_that_is_not_installed_is_said(box):
    box.put("plan", json.dumps(box.plan(runtime="bubblewrap", binds=[], image="/usr")))
    box.put("token", f"0\n{TOKEN}\n")
    hide = 'mount --bind /dev/null /usr/bin/bwrap && exec setpriv --reuid=$0 --regid=$0 --clear-groups "$@"'
    command = ["unshare", "--mount", "sh", "-c", hide, str(UID), box.program, box.spool, NONCE]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin:/usr/sbin"})
    said = "visa-slurm-node: bwrap is not installed on this node.\n"
    assert (done.returncode, done.stderr) == (contract.EXIT_BAD_INFO, said)


def test_apptainer_says_that_it_gives_devices_below_dev_alone(box):
    with pytest.raises(plan.NotFit, match="not below /dev"):
        apptainer.command(some_plan(box), str(box.spool), ["/made/up/gpu0"], {})


def test_old_pythons_can_read_both_programs():
    """Clusters' own Python is older than ours."""
    for folder in ("launch", "node"):
        for path in (programs.TREE / "visa_spawner/backends/slurm" / folder).glob("*.py"):
            ast.parse(path.read_text(), feature_version=(3, 9))
    for path in ("visa_session/contract.py", "visa_spawner/backends/accounts.py"):
        ast.parse((programs.TREE / path).read_text(), feature_version=(3, 9))


def test_ids_of_experiments_make_no_other_folders(box):
    info = SessionInfo(owner="a", name="b", experiments=(ExperimentInfo(id="x"),))
    told = box.plan()["environment"] | {"VISA_SESSION_INFO": info.to_json()}
    for way in ("/experiments/../etc/x", "experiments/x", "/experiments//x"):
        box.put("plan", json.dumps(box.plan(environment=told, short_ways={way: "/x"})))
        box.put("token", f"0\n{TOKEN}\n")
        assert box.fails()[0] == contract.EXIT_BAD_INFO, way
