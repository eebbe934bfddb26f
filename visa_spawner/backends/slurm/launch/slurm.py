"""Slurm's own commands: argument lists, never a shell; an environment of three variables."""

from __future__ import annotations

import re
import shlex
import subprocess

from .configuration import Configuration
from .refusals import Refused, of_slurm, own_words


def environment(allowed: Configuration) -> dict:
    """All that Slurm's commands are given of an environment, and with it the job."""
    values = {"PATH": "/usr/bin:/bin", "LANG": "C"}
    if allowed.slurm_conf:
        values["SLURM_CONF"] = allowed.slurm_conf
    return values


def script(allowed: Configuration, spool: str, nonce: str) -> str:
    """The job's script: the same for everybody, but for the uid and the nonce in it."""
    return _script([allowed.python, "-I", allowed.node_program, spool, nonce])


def _script(line: list) -> str:
    return "#!/bin/sh\nexec " + " ".join(map(shlex.quote, line)) + "\n"


def arguments(allowed: Configuration, job: dict, mark: str, spool: str, nonce: str) -> list:
    """The argument list of `sbatch` for a session; the script comes on its standard input."""
    how = ["--job-name=visa", f"--output={spool}/{nonce}.log", "--open-mode=append", "--requeue"]
    return _arguments(allowed, job, mark, how)


def _arguments(allowed: Configuration, job: dict, mark: str, how: list) -> list:
    nodes = max(1, job["nodes"])
    per_node = max(1, -(-job["tasks"] // nodes))
    found = [
        allowed.sbatch,
        "--parsable",
        # All of an environment that is empty but for `environment`. Anything else, NONE too, has Slurm run
        # the person's login shell on the node first, which takes seconds and may hang.
        "--export=ALL",
        "--propagate=NONE",
        f"--comment={mark}",
        "--chdir=/",
        "--input=/dev/null",
        *how,
        f"--nodes={nodes}",
        f"--ntasks={max(job['tasks'], nodes)}",
        f"--ntasks-per-node={per_node}",
    ]
    if job["cpus"]:
        found.append(f"--cpus-per-task={max(1, job['cpus'] // per_node)}")
    if job["memory_mb"]:
        found.append(f"--mem={job['memory_mb']}M")
    if job["gpus"]:
        kind = f"gpu:{job['gpu_type']}" if job["gpu_type"] else "gpu"
        found.append(f"--gres={kind}:{job['gpus']}")
    if job["minutes"]:
        found.append(f"--time={job['minutes']}")
    if job.get("exclude"):
        found.append(f"--exclude={','.join(job['exclude'])}")
    for name in ("partition", "account", "qos", "reservation"):
        if job[name]:
            found.append(f"--{name}={job[name]}")
    return found


def submit(allowed: Configuration, job: dict, mark: str, spool: str, nonce: str) -> int:
    """Submit; the job's id. Raises Refused."""
    return _submit(allowed, arguments(allowed, job, mark, spool, nonce), script(allowed, spool, nonce))


def hold(allowed: Configuration, job: dict, mark: str, image: str) -> int:
    """Submit a seat; the job's id. Raises Refused."""
    line = [allowed.python, "-I", allowed.node_program, "--seat", *([image] if image else [])]
    # Behind all others in the queue, and not put back into it.
    how = ["--job-name=visa-seat", "--output=/dev/null", "--no-requeue", "--nice=1000000"]
    return _submit(allowed, _arguments(allowed, job, mark, how), _script(line))


def _submit(allowed: Configuration, command: list, script: str) -> int:
    said = _run(allowed, command, script)
    # `123`, or `123;cluster`; sites' plugins may say something before it.
    found = re.search(r"^(\d+)(?:;\S+)?$", said, re.MULTILINE)
    if not found:
        raise Refused("silent", f"sbatch gave no job id: {own_words(said)}")
    return int(found.group(1))


def cancel(allowed: Configuration, job_id: int) -> None:
    """Cancel; nothing happens to a job that is over. Raises Refused."""
    try:
        _run(allowed, [allowed.scancel, str(job_id)])
    except Refused as refused:
        if refused.kind != "gone":
            raise


def check_owner(allowed: Configuration, job_id: int, uid: int) -> None:
    """Raise Refused unless the job is this person's and has a mark, of this hub where one is named."""
    said = _run(allowed, [allowed.scontrol, "show", "job", str(job_id)])
    # What people name their jobs stands there too: a line that is there twice proves nothing.
    owners = re.findall(r"^\s*UserId=[^\n]*?\((\d+)\) GroupId=", said, re.MULTILINE)
    marks = re.findall(r"^\s*Comment=(.*)$", said, re.MULTILINE)
    hub = re.escape(allowed.hub_id) if allowed.hub_id else "[a-z0-9-]{1,32}"
    fits = len(marks) == 1 and re.fullmatch(f"visa:{hub}:[0-9a-f]{{32}} ?", marks[0])
    if owners != [str(uid)] or not fits:
        raise Refused("not_allowed", "the job is no session of this person's")


def extend(allowed: Configuration, job_id: int, minutes: int) -> None:
    """Set the time limit anew, which takes Slurm's administrator. Raises Refused."""
    _run(allowed, [allowed.scontrol, "update", f"JobId={job_id}", f"TimeLimit={minutes}"])


def _run(allowed: Configuration, command: list, given: str = "") -> str:
    """What a command says on its output; raises Refused when it fails or does not come back."""
    try:
        done = subprocess.run(
            command,
            input=given.encode(),
            capture_output=True,
            env=environment(allowed),
            cwd="/",
            timeout=allowed.timeout,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as late:
        said = own_words((late.stderr or b"").decode("utf-8", "replace"))
        raise Refused("silent", said or f"no answer in {allowed.timeout:g} seconds") from None
    except OSError as error:
        raise Refused("other", f"{command[0]} cannot be run: {error.strerror}") from error
    errors = done.stderr.decode("utf-8", "replace")
    if done.returncode < 0:
        raise Refused("silent", f"{command[0]} was killed by signal {-done.returncode}")
    if done.returncode:
        raise of_slurm(errors)
    return done.stdout.decode("utf-8", "replace")
