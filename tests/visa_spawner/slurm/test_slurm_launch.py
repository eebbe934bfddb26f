"""The launcher on the real cluster, asked by the hub's account through sudo."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
import time

import pytest
from slurm_cluster import wait
from slurm_desk import HUB, HUB_ID, JOB, ROOT, TOKEN, mark

from visa_spawner.backends.slurm.launcher import Launcher, LauncherRefused, LauncherSilent

LIMIT = pytest.mark.timeout(120)


async def submit(desk, name="alice", job=None, **plan) -> tuple[int, str]:
    made = mark()
    return await desk.launcher.submit(
        desk.person(name), made, JOB | (job or {}), desk.plan(name, **plan), TOKEN
    ), made


async def lines(desk, made, text, name="alice") -> list[str]:
    """The job's output, once `text` is in it."""
    for _ in range(600):
        found = await desk.launcher.log(desk.person(name), made, 50)
        if any(text in line for line in found):
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"{text!r} is not in {found}")


async def test_a_job_is_the_persons_and_its_record_says_nothing(desk, slurm):
    job, made = await submit(desk, job={"account": "a1", "tasks": 2, "cpus": 4})
    found = await lines(desk, made, "ready")
    assert TOKEN[::-1] in found[-1], "the token came on standard input"
    seen = slurm.job(job)
    assert seen["UserId"] == "alice(20001)"
    assert seen["Comment"] == made
    assert seen["Account"] == "a1"
    assert (seen["NumTasks"], seen["CPUs/Task"], seen["TimeLimit"]) == ("2", "2", "00:10:00")
    assert (seen["Requeue"], seen["WorkDir"], seen["JobName"]) == ("1", "/", "visa")
    records = slurm.run("scontrol", "show", "job", "-dd", str(job))
    records += slurm.run("scontrol", "write", "batch_script", str(job), "-")
    records += slurm.run("sacct", "-j", str(job), "--parsable2", "-o", "ALL")
    records += slurm.run("sacct", "-j", str(job), "--batch-script")
    records += slurm.run("sacct", "-j", str(job), "--env-vars")
    assert made in records
    for private in (TOKEN, "typed by a person", "JUPYTERHUB"):
        assert private not in records
    await desk.launcher.cancel(desk.person(), job)
    assert slurm.until(job, "CANCELLED")["UserId"] == "alice(20001)"
    # Stopped in order: the signal reached the program through whatever stood between.
    assert "ended in order" in (await lines(desk, made, "ended"))[-1]


async def test_its_files_are_the_persons_alone(desk, slurm):
    holder = slurm.submit("sleep 600", "bob", "--nodes=4", "--exclusive")
    slurm.until(holder, "RUNNING")
    _, made = await submit(desk)
    nonce = made.rpartition(":")[2]
    assert desk.files() == [f"{nonce}.plan", f"{nonce}.token"]
    directory = desk.spool / "20001"
    for path, mode in ((directory, 0o40700), *((directory / name, 0o100600) for name in desk.files())):
        found = path.stat()
        assert (found.st_mode, found.st_uid, found.st_gid) == (mode, 20001, 20001), path
    await desk.launcher.forget(desk.person(), made)
    assert desk.files() == []


async def test_a_token_is_delivered_anew(desk, slurm):
    holder = slurm.submit("sleep 600", "bob", "--nodes=4", "--exclusive")
    slurm.until(holder, "RUNNING")
    _, made = await submit(desk)
    token = desk.spool / "20001" / (made.rpartition(":")[2] + ".token")
    assert token.read_text() == f"0\n{TOKEN}\n"
    await desk.launcher.deliver(desk.person(), made, TOKEN[::-1])
    assert token.read_text() == f"-1\n{TOKEN[::-1]}\n"
    await desk.launcher.deliver(desk.person(), made, TOKEN, run=3)
    assert token.read_text() == f"3\n{TOKEN}\n"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


async def test_a_job_that_is_requeued_takes_the_token_of_its_new_run(desk, slurm):
    job, made = await submit(desk)
    await lines(desk, made, "ready")
    slurm.run("scontrol", "requeue", str(job))
    slurm.until(job, "PENDING")
    # Slurm itself would have it wait for two minutes: a node refuses what was allowed in the very second in
    # which the last run ended.
    await asyncio.sleep(2)
    slurm.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    await desk.launcher.deliver(desk.person(), made, "second-" + TOKEN)
    found = await lines(desk, made, ("second-" + TOKEN)[::-1])
    assert "ready " + TOKEN[::-1] in found, "the log of both runs"
    assert slurm.job(job)["Restarts"] == "1"
    assert not [name for name in desk.files() if name.endswith(".token")]


async def test_cancelling_is_for_ones_own_jobs_and_never_fails_twice(desk, slurm):
    job, _ = await submit(desk)
    with pytest.raises(LauncherRefused) as refused:
        await desk.launcher.cancel(desk.person("bob"), job)
    assert refused.value.kind == "not_allowed"
    for _ in range(2):
        await desk.launcher.cancel(desk.person(), job)
    slurm.until(job, "CANCELLED")
    await desk.launcher.cancel(desk.person(), job)
    await desk.launcher.cancel(desk.person(), 4_000_000)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"partition": "moon"}, "partition"),
        ({"account": "b2"}, "account"),
        ({"account": "nobodys"}, "account"),
        ({"qos": "platinum"}, "qos"),
        ({"reservation": "mine"}, "reservation"),
        ({"gpus": 1, "gpu_type": "h100"}, "resources"),
        ({"gpus": 9, "gpu_type": "a100"}, "resources"),
        ({"cpus": 400}, "resources"),
        ({"memory_mb": 10_000_000}, "resources"),
        ({"nodes": 40}, "resources"),
        ({"minutes": 100_000}, "limit"),
    ],
)
async def test_slurms_refusals_are_told_apart_and_leave_nothing(desk, slurm, asked, kind):
    with pytest.raises(LauncherRefused) as refused:
        await submit(desk, job=asked)
    assert refused.value.kind == kind, refused.value
    assert "Batch job submission failed: " in refused.value.text, "Slurm's own words"
    assert desk.files() == [] and slurm.jobs() == []


@LIMIT
async def test_a_controller_that_does_not_answer_is_silence(desk, slurm):
    job, made = await submit(desk)
    desk.configure(timeout=3)
    before = desk.files()
    with slurm.silent("controller"):
        for asked in (submit(desk), desk.launcher.cancel(desk.person(), job)):
            begun = time.monotonic()
            with pytest.raises(LauncherSilent):
                await asked
            assert time.monotonic() - begun < 20
        assert len(desk.files()) > len(before), "the files stay: the job may be there"
    # What was asked may have happened after all; nothing is said of it.
    with slurm.down("munge"), pytest.raises(LauncherSilent):
        await submit(desk)


async def test_a_site_may_let_sessions_be_extended(desk, slurm):
    job, _ = await submit(desk)
    await desk.launcher.extend(desk.person(), job, 25)
    assert slurm.job(job)["TimeLimit"] == "00:25:00"
    others = {
        "another's": (desk.person("bob"), job),
        "no session": (desk.person(), slurm.submit("sleep 60", "alice", "--comment=visa:desk:1")),
        "another hub's": (desk.person(), slurm.submit("sleep 60", "alice", f"--comment={mark('other')}")),
    }
    forged = f"forged\n   UserId=bob(20002) GroupId=bob(20002) \n   Comment={mark()}"
    others["forged"] = (desk.person("bob"), slurm.submit("sleep 60", "alice", f"--job-name={forged}"))
    for why, (person, other) in others.items():
        with pytest.raises(LauncherRefused) as refused:
            await desk.launcher.extend(person, other, 25)
        assert refused.value.kind == "not_allowed", why
    with pytest.raises(LauncherRefused) as refused:
        await desk.launcher.extend(desk.person(), 4_000_000, 25)
    assert refused.value.kind == "gone"
    desk.configure(extend=False)
    with pytest.raises(LauncherRefused, match="does not let"):
        await desk.launcher.extend(desk.person(), job, 30)
    slurm.run("scancel", *(str(other) for _, other in others.values()))
    wait(lambda: "forged" not in slurm.run("squeue", "-h", "-o", "%j"), 30, lambda: "not over")


@pytest.mark.parametrize(
    ("name", "uid"), [("-rf", 20906), ("jean paul", 20907), ("a$(id)b", 20908), ("a;id", 20909)]
)
async def test_a_name_that_needs_quoting_is_only_a_name(desk, slurm, name, uid):
    slurm.person(name, uid)
    job, made = await submit(desk, name)
    await lines(desk, made, "ready", name)
    assert f"({uid})" in slurm.run("scontrol", "show", "job", str(job))
    await desk.launcher.cancel(desk.person(name), job)
    slurm.until(job, "CANCELLED")


async def test_the_log_is_its_end(desk, slurm):
    script = "for i in $(seq 20000); do echo line $i; done; echo done"
    _, made = await submit(desk, command=["/bin/sh", "-c", script])
    await lines(desk, made, "done")
    assert await desk.launcher.log(desk.person(), made, 3) == ["line 19999", "line 20000", "done"]
    assert len(await desk.launcher.log(desk.person(), made, 1000)) == 1000
    assert await desk.launcher.log(desk.person(), mark(), 3) == []


def test_the_rule_is_for_this_program_without_arguments(desk):
    as_hub = desk.by_sudo[:-1]
    for command in (["/usr/bin/id"], [str(desk.program), "--help"], ["-u", "alice", str(desk.program)]):
        done = subprocess.run([*as_hub, *command], input=b"", capture_output=True)
        assert done.returncode == 1 and b"password is required" in done.stderr, command
    done = subprocess.run(desk.by_sudo, input=b"", capture_output=True)
    assert done.returncode == 0 and b'"refused": "request"' in done.stdout


@pytest.mark.parametrize("user", ["a b", "ALL", "root, ALL", "x ALL=(ALL) ALL\n#", "", "%wheel", "#0"])
def test_no_other_rule_comes_from_the_name_of_an_account(user):
    command = [sys.executable, "-m", "visa_spawner.backends.slurm.programs", "--show-sudoers", user]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""


def test_the_programs_are_the_same_bytes_each_time(desk, tmp_path):
    command = [sys.executable, "-m", "visa_spawner.backends.slurm.programs", str(tmp_path / "new")]
    subprocess.run([*command, "--configuration", str(desk.configuration)], cwd=ROOT, check=True)
    for path in (desk.program, desk.node_program):
        again = tmp_path / "new" / path.name
        assert again.read_bytes() == path.read_bytes()
        assert again.read_bytes().startswith(b"#!/usr/bin/python3 -I\n")
        assert stat.S_IMODE(again.stat().st_mode) == 0o755


ASK = """
import asyncio, json, sys
sys.path.insert(0, {root!r})
from visa_spawner.backends.slurm.launcher import Launcher
person, mark, job, plan, token = json.loads(sys.stdin.read())
async def main():
    print("asking", flush=True)
    await Launcher({command!r}, timeout=30, at_once=1).submit(person, mark, job, plan, token)
asyncio.run(main())
"""


@LIMIT
def test_a_hub_that_is_killed_leaves_a_whole_job_or_none(desk, slurm):
    import json

    made = {}
    for number in range(8):
        one = mark()
        process = subprocess.Popen(
            [sys.executable, "-c", ASK.format(root=str(ROOT), command=desk.by_sudo)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stdin.write(json.dumps([desk.person(), one, JOB, desk.plan(), TOKEN]))
        process.stdin.close()
        assert process.stdout.readline() == "asking\n"
        time.sleep(number * 0.03)
        process.send_signal(signal.SIGKILL)
        process.wait()
        made[one] = None
    launcher = str(desk.program)
    wait(lambda: not running(launcher), 30, lambda: "the launcher hangs")
    seen = [it for it in slurm.run("squeue", "-h", "-t", "all", "-o", "%k").split() if it in made]
    assert len(seen) == len(set(seen)), "one job a mark at most"
    for one in made:
        nonce = one.rpartition(":")[2]
        if one not in seen:
            assert not [name for name in desk.files() if nonce in name], "asked half: nothing was done"
        elif f"{nonce}.plan" not in desk.files():
            raise AssertionError("a job without its plan")
    assert any(one in seen for one in made) or not seen


def running(program: str) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if program.encode() in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("after", [0, 0.005, 0.03])
async def test_a_call_that_is_cancelled_is_gone_through_with(desk, slurm, after):
    launcher, made = desk.launcher, mark()
    asked = asyncio.ensure_future(launcher.submit(desk.person(), made, JOB, desk.plan(), TOKEN))
    await asyncio.sleep(after)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    for _ in range(300):
        if made in slurm.run("squeue", "-h", "-o", "%k"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("no job")


async def test_a_launcher_that_is_not_there_late_or_broken(desk):
    async def ask(*command, timeout=30):
        await Launcher(list(command), timeout=timeout, at_once=1).cancel(desk.person(), 1)

    with pytest.raises(LauncherRefused, match="cannot be run"):
        await ask("/nonexistent/launcher")
    with pytest.raises(LauncherRefused, match="password is required"):
        await ask(*desk.by_sudo[:-1], "/usr/bin/true")
    with pytest.raises(LauncherSilent, match="broke off"):
        await ask("/bin/sh", "-c", "kill -9 $$")
    with pytest.raises(LauncherSilent, match="broke off"):
        await ask("/bin/echo", "what")
    with pytest.raises(LauncherSilent, match="did not answer"):
        await ask("/bin/sleep", "0.8", timeout=0.3)
    await asyncio.sleep(1)  # it is left to its end


def test_the_hubs_account_is_nobody(desk):
    """The rule is all it has: no group of the system, nothing of the spool."""
    done = subprocess.run(
        [*desk.by_sudo[:4], "/bin/sh", "-c", f"id -G; cat {desk.configuration}; ls {desk.spool}/*"],
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[0] == str(pwd.getpwnam(HUB).pw_gid)
    assert HUB_ID in done.stdout, "its settings are no secret"
