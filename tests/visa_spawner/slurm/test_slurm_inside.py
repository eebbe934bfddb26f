"""The cluster from a session: a real hub, a container of the real image, Slurm's own commands in it."""

import contextlib
import json
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import slurm_inside
import yaml
from furnished import a_facility, furnish
from slurm_inside import OPTIONS, InsideHub, Shell
from spawner_support import write_site

from demo import bridge
from demo.site import Site
from images.build import main as build_main

pytestmark = pytest.mark.timeout(200)


@pytest.fixture(scope="module")
def hub(slurm_daemons):
    assert build_main(["base"]) == 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vi-")))
        stack.enter_context(bridge.held(Site(port=64000, run=folder)))
        engine = stack.enter_context(slurm_inside.engine(folder))
        image = slurm_inside.image_on_nodes(slurm_daemons)
        root = stack.enter_context(a_facility())
        furnish(root)
        write_site(root)
        write_work(root)
        hub = InsideHub(root, slurm_daemons, engine, image)
        stack.callback(hub.remove_containers)
        stack.callback(hub.close)
        yield hub.start()


def write_work(root):
    """Two profiles that differ in whether the cluster is there, and frames to work on."""
    plan = {"title": "2 cores", "backend": "container", "cpus": 2, "memory": "2G"}
    lifetime = {"default_hours": 1, "max_hours": 4}
    for old in (root / "profiles").glob("*.yaml"):
        old.unlink()
    for name, cluster in (("work", True), ("alone", False)):
        profile = {"name": name, "title": name, "image": "base", "cluster": cluster, "lifetime": lifetime}
        plans = {"small": plan, "job": plan | {"backend": "slurm"}}
        (root / f"profiles/{name}.yaml").write_text(yaml.safe_dump(profile | {"plans": plans}))
    for number in range(2):
        with h5py.File(root / f"visitor/a1/RAW_DATA/scan{number}.h5", "w") as file:
            file["entry/data"] = np.full((6, 32, 32), number + 1, "u2")


@pytest.fixture(scope="module")
def session(hub):
    """A session of alice's with the cluster, as everybody in this module uses it."""
    assert hub.start_session("tooth", OPTIONS).status_code in (201, 202)
    hub.until(lambda: (s := hub.session("tooth")) and s["ready"], 120, "the session runs")
    yield "tooth"
    hub.stop_session("tooth")


@pytest.fixture(scope="module")
def shell(hub, session):
    return Shell(hub, session)


def test_slurms_commands_work_as_the_sessions_owner(slurm, shell):
    """`sbatch`, `squeue`, `srun` and `scancel`, and the job runs as the same uid on the nodes."""
    assert "n[1-4]" in shell.run("sinfo -h -p main -o %N")
    assert shell.run("srun -N2 -n2 sh -c 'id -u; hostname > /dev/null'").split() == ["20001", "20001"]
    shell.put("job.sh", "#!/bin/sh\nid -u > job.out\nsleep 100\n")
    job = int(shell.run("sbatch --parsable job.sh"))
    slurm.until(job, "RUNNING")
    assert shell.run("squeue --me -h -o '%A %T'").split() == [str(job), "RUNNING"]
    assert slurm.job(job)["UserId"] == "alice(20001)"
    shell.run(f"scancel {job}")
    slurm.until(job, "CANCELLED")
    assert (shell.home / "job.out").read_text().strip() == "20001"


def test_the_sessions_token_is_in_nothing_that_it_sends(hub, slurm, shell, session):
    """A job takes the environment along: no token is in it, nor in what Slurm keeps of it."""
    variables = slurm_inside.podman(
        "inspect", "--format", "{{json .Config.Env}}", hub.containers()["alice/tooth"]
    )
    token = dict(one.split("=", 1) for one in json.loads(variables))["JUPYTERHUB_API_TOKEN"]
    shell.put("look.sh", "#!/bin/sh\nenv > look.out\ncat /proc/self/environ >> look.out\nsleep 100\n")
    job = int(shell.run("sbatch --parsable look.sh"))
    found = shell.home / "look.out"
    hub.until(lambda: found.exists() and b"VISA_CLUSTER=1" in found.read_bytes(), 60, "the job looks")
    told = found.read_text() + slurm.run("scontrol", "show", "job", "-dd", str(job))
    told += slurm.run("scontrol", "write", "batch_script", str(job), "-")
    shell.run(f"scancel {job}")
    assert "JUPYTERHUB_USER=alice" in told, "the environment was taken along at all"
    for name in ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"):
        assert name not in told
    assert token not in told
    assert not [
        file for file in shell.home.rglob("*") if file.is_file() and token in file.read_text("latin1")
    ]


def test_anothers_jobs_are_neither_seen_nor_touched(slurm, shell):
    job = slurm.submit("sleep 300", "bob")
    slurm.until(job, "RUNNING")
    assert shell.run("squeue -h") == ""
    code, words = shell.tried(f"scontrol show job {job}")
    assert code == 1 and "Invalid job id" in words
    code, words = shell.tried(f"scancel {job}; scontrol update job={job} timelimit=1; scontrol requeue {job}")
    assert "Access" in words and code
    assert slurm.job(job)["JobState"] == "RUNNING"
    assert slurm.job(job)["TimeLimit"] == "01:00:00"
    code, words = shell.tried("sbatch --uid=20002 --wrap 'sleep 1'")
    assert code, words


def test_accounting_tells_the_owner_of_their_own_jobs_and_takes_no_orders(hub, slurm, shell, session):
    """`sacct` and the panel's earlier jobs, asked from the session's own network."""
    of_bob = slurm.submit("true", "bob")
    job = int(shell.run("sbatch --parsable --output=/dev/null --wrap true"))
    for one in (job, of_bob):
        slurm.until(one, "COMPLETED")
    asked = "sacct -n -X -P -o jobid,user,state"
    hub.until(lambda: f"{of_bob}|bob|COMPLETED" in slurm.run(*asked.split(), "-a"), 20, "the book has both")
    assert f"{job}|alice|COMPLETED" in shell.run(asked).splitlines()
    assert "bob" not in shell.run(f"{asked} -a")
    rows = hub.ask(session, "GET", "jupyterlab_slurm/sacct").raise_for_status().json()["data"]["rows"]
    assert str(job) in [row[0] for row in rows]
    book = ("sacctmgr", "-n", "-P", "show", "assoc", "format=account,user,qos")
    before = slurm.run(*book)
    for order in ("add account theirs", "modify user alice set qos=urgent"):
        assert shell.tried(f"sacctmgr -i {order}")[0] != 0
    assert slurm.run(*book) == before


def test_a_job_sees_the_gpu_it_asked_for(slurm, shell):
    look = f"ls {slurm.layout.gpus}/$SLURMD_NODENAME/gpu$CUDA_VISIBLE_DEVICES"
    words = shell.run(f"srun -p gpu --gres=gpu:l40s:1 sh -c '{look}; env'")
    assert f"{slurm.layout.gpus}/n2/gpu" in words
    assert "SLURM_STEP_GPUS=" in words
    assert "CUDA_VISIBLE_DEVICES" not in shell.run("srun env")


def test_what_is_bound_in_cannot_be_changed(hub, slurm, shell):
    for path in hub.access["binds"]:
        assert shell.run(f"ls {path}")
        assert shell.tried(f"touch {path}/x")[0] != 0
        options = shell.run(f"grep -F ' {path} ' /proc/self/mountinfo").split()[5]
        assert options.split(",")[0] == "ro"
    code, words = shell.tried(f"cat {slurm.layout.munge_socket.parent}/munge.key")
    assert code and "Permission denied" in words


def test_the_panel_lists_submits_and_cancels(hub, slurm, shell, session):
    script = shell.put("panel.sh", "#!/bin/sh\n#SBATCH --job-name=from-the-panel\nsleep 100\n")
    hub.until(
        lambda: hub.ask(session, "GET", "jupyterlab_slurm/ui-config").status_code == 200,
        20,
        "the panel is there",
    )
    body = {"inputPath": str(script), "outputPath": str(shell.home)}
    made = hub.ask(session, "POST", "jupyterlab_slurm/sbatch", json=body).json()
    job = made["data"]["jobId"]
    rows = hub.ask(session, "GET", "jupyterlab_slurm/squeue").json()["data"]["rows"]
    assert [(row[0], row[2]) for row in rows] == [(job, "from-the-panel")]
    gone = hub.ask(session, "DELETE", "jupyterlab_slurm/scancel", json={"job_ids": [job]})
    assert gone.status_code == 200, gone.text
    slurm.until(int(job), "CANCELLED")


def test_the_notebook_runs_whole_and_leaves_its_results_in_processed(hub, shell, session):
    """Batch, MPI over two nodes, GPU and Dask, on the experiment's own data; all agree on every frame."""
    answer = hub.ask(session, "POST", "visa/cluster/examples")
    path = Path(answer.raise_for_status().json()["path"])
    assert str(path) == "/experiments/A-1/processed/cluster-examples/cluster.ipynb"
    execute = "jupyter nbconvert --execute --allow-errors --to notebook --output done"
    words = shell.run(f"cd {path.parent} && {execute} {path.name}", timeout=150)
    folder = hub.root / "visitor/a1/PROCESSED_DATA/cluster-examples"
    done = json.loads((folder / "done.ipynb").read_text())
    said = "".join(
        "".join(output.get("text", [])) for cell in done["cells"] for output in cell.get("outputs", [])
    )
    assert "4 processes on n1, n2" in said, said + words
    assert not [output for cell in done["cells"] for output in cell.get("outputs", []) if "ename" in output]
    assert "GPUs of this job: " in said and "GPUs of this job: none" not in said
    assert "12 frames, by 2 workers" in said
    for name in ("one", "mpi", "dask"):
        with h5py.File(folder / f"{name}.h5") as file:
            assert [list(file[f"totals/{number}"]) for number in "01"] == [[1024.0] * 6, [2048.0] * 6]
    assert (folder / "one.h5").stat().st_uid == 20001


def test_a_second_copy_of_the_examples_leaves_what_was_changed(hub, session):
    folder = hub.root / "visitor/a1/PROCESSED_DATA/cluster-examples"
    shutil.rmtree(folder, ignore_errors=True)
    hub.ask(session, "POST", "visa/cluster/examples").raise_for_status()
    (folder / "frames.py").write_text("mine")
    (folder / "gpu.py").unlink()
    hub.ask(session, "POST", "visa/cluster/examples").raise_for_status()
    assert (folder / "frames.py").read_text() == "mine"
    assert (folder / "gpu.py").exists()


def test_a_session_that_is_a_job_sends_jobs_of_its_own(hub, slurm):
    assert hub.start_session("job", OPTIONS | {"plan": "job"}).status_code in (201, 202)
    hub.until(lambda: (s := hub.session("job")) and s["ready"], 120, "the session runs")
    own = hub.job()
    shell = Shell(hub, "job")
    inner = int(shell.run("sbatch --parsable --output=/dev/null --wrap 'sleep 100'"))
    slurm.until(inner, "RUNNING")
    assert sorted(shell.run("squeue --me -h -o %A").split()) == sorted([str(own), str(inner)])
    shell.run(f"scancel {inner}")
    slurm.until(inner, "CANCELLED")
    assert shell.run("srun sh -c 'echo $SLURM_JOB_ID'").split() == [str(own)], "a step of its own job"
    assert slurm.job(own)["JobState"] == "RUNNING"
    hub.end_session("job")


def test_a_session_without_the_cluster_has_nothing_of_it(hub, slurm):
    assert hub.start_session("alone", OPTIONS | {"profile": "alone"}).status_code in (201, 202)
    hub.until(lambda: (s := hub.session("alone")) and s["ready"], 120, "the session runs")
    shell = Shell(hub, "alone")
    assert shell.tried("squeue")[0] != 0
    assert not shell.run("env").count("SLURM_CONF")
    assert shell.tried(f"ls {slurm.folder}")[0] != 0
    assert hub.ask("alone", "POST", "visa/cluster/examples").status_code == 404
    assert hub.ask("alone", "GET", "jupyterlab_slurm/squeue").status_code == 404
    hub.stop_session("alone")
