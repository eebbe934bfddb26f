"""The tests' cluster is what it says: partitions, GPUs, accounting, limits, preemption, privacy, its end."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from slurm_cluster import wait

from demo.cluster.commands import CommandFailed


def test_partitions_and_typed_gpus(slurm):
    lines = slurm.run("sinfo", "-h", "-N", "-o", "%P %N %G").splitlines()
    assert {tuple(line.split()) for line in lines} == {
        *(
            (p, n, g)
            for p in ("main*", "gpu", "spare")
            for n, g in (("n1", "gpu:a100:2"), ("n2", "gpu:l40s:2"))
        ),
        *((p, n, "(null)") for p in ("main*", "spare") for n in ("n3", "n4")),
    }


@pytest.mark.parametrize("kind, node", [("a100", "n1"), ("l40s", "n2")])
def test_a_job_is_given_the_gpu_it_asked_for(slurm, kind, node, tmp_path):
    said = slurm.folder / "home/20001/said"
    script = f"echo $SLURMD_NODENAME $SLURM_JOB_GPUS $CUDA_VISIBLE_DEVICES > {said}"
    slurm.until(slurm.submit(script, "alice", f"--gres=gpu:{kind}:1"), "COMPLETED")
    name, index, visible = said.read_text().split()
    assert (name, visible) == (node, index)
    device = Path(slurm.layout.gpu_device.format(node=name, index=index)).stat()
    assert stat.S_ISCHR(device.st_mode) and device.st_mode & 0o777 == 0o666


@pytest.mark.parametrize("account, qos", [("b2", "normal"), ("a1", "nonsense"), ("root", "normal")])
def test_accounting_refuses_an_account_or_a_qos_that_the_person_lacks(slurm, account, qos):
    with pytest.raises(CommandFailed, match="Invalid account|Invalid qos"):
        slurm.submit("true", "alice", f"--account={account}", f"--qos={qos}")


def test_accounting_takes_the_proposal_s_account_and_counts_the_job(slurm):
    job = slurm.submit("true", "alice", "--account=a1", "--qos=urgent")
    assert slurm.until(job, "COMPLETED")["Account"] == "a1"
    asked = ("sacct", "-n", "-X", "-P", "-j", str(job), "-o", "account,qos,user,state")
    wait(lambda: slurm.run(*asked).strip() == "a1|urgent|alice|COMPLETED", 30, lambda: slurm.run(*asked))


def test_too_much_memory_ends_as_out_of_memory(slurm):
    # Alive for long enough to be noticed; one that is not ends as COMPLETED, and the test fails.
    take = "python3 -c 'import time; x = bytearray(300_000_000); time.sleep(60)'"
    job = slurm.submit(take, "alice", "--mem=100")
    assert slurm.until(job, "OUT_OF_MEMORY", "FAILED", "CANCELLED")["JobState"] == "OUT_OF_MEMORY"


def test_a_preemptable_job_makes_room_and_is_put_back(slurm):
    first = slurm.submit("sleep 300", "bob", "--partition=spare", "--exclusive", "--nodes=4", "--requeue")
    slurm.until(first, "RUNNING")
    second = slurm.submit("sleep 300", "alice", "--nodelist=n3")
    slurm.until(second, "RUNNING")
    assert slurm.until(first, "PENDING")["Restarts"] == "1"
    slurm.run("scancel", str(second))
    assert slurm.until(first, "RUNNING")["Restarts"] == "1"


def test_people_see_their_own_jobs_alone_and_root_sees_all(slurm):
    job = slurm.submit("sleep 300", "bob")
    slurm.until(job, "RUNNING")
    bob, alice = slurm.account("bob"), slurm.account("alice")
    for person, seen in ((alice, ""), (bob, str(job))):
        words = slurm.run("squeue", "-h", "-o", "%i", user=person.uid, group=person.gid, extra_groups=[])
        assert words.strip() == seen
    assert slurm.run("squeue", "-h", "-o", "%i").strip() == str(job)


def test_an_account_of_the_test_s_own_with_a_name_that_needs_quoting(slurm):
    odd = slurm.person("a b;$(c)", 20991, 30991, proposals=("a1",))
    said = f"{odd.home}/said"
    job = slurm.submit(f'id -un > "{said}"; id -G >> "{said}"', odd.name, "--account=a1")
    slurm.until(job, "COMPLETED")
    assert Path(said).read_text().splitlines() == [odd.name, "20991 30991"]


@pytest.mark.parametrize("daemon", ["munge", "database", "accounting", "controller", "n1", "slurmd-n1"])
def test_a_daemon_that_was_killed_comes_back(slurm, daemon):
    slurm.kill(daemon)
    assert slurm.clean() == [f"{daemon} is down"]


@pytest.mark.parametrize("daemon", ["munge", "accounting", "controller", "slurmd-n2"])
def test_a_daemon_that_was_stopped_goes_on(slurm, daemon):
    with slurm.silent(daemon):
        assert slurm.process_of(daemon).status() == "stopped"


def test_a_job_outlives_its_slurmd_and_ends_with_its_node(slurm):
    job = slurm.submit("sleep 300", "alice", "--nodelist=n2", "--no-requeue")
    slurm.until(job, "RUNNING")
    wait(lambda: "sleep 300" in str(slurm.strangers()), 30, lambda: "the job has no process")
    slurm.restart("slurmd-n2")
    assert slurm.job(job)["JobState"] == "RUNNING" and "sleep 300" in str(slurm.strangers())
    with slurm.down("n2"):
        assert not slurm.strangers()
        slurm.lose("n2")
        slurm.until(job, "NODE_FAIL")
        slurm.resume("n2")


def test_what_a_test_leaves_is_named(slurm):
    job = slurm.submit("sleep 300", "bob")
    slurm._jobs.clear()
    slurm.drain("n4")
    left = " ".join(slurm.clean())
    assert f"{job} of bob" in left and "n4 is drain" in left
    assert slurm.clean() == []
