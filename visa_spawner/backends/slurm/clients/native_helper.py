"""Asks the controller through pyslurm, in a process of its own; run as a file, standard library beside it.

A process, since pyslurm holds Python's global lock while it waits for the controller, which in the hub would
stop everything, and since libslurm ends the process it is in when its configuration cannot be read.

It first writes a frame with its version, then one for each byte on standard input: a number of bytes, a line
end, and so many bytes of JSON, `{"jobs": [...], "skipped": [...]}` or `{"silent": TEXT}`.
"""

from __future__ import annotations

import json
import os
import sys

#: What is told of a job, in the order in which `native.py` takes it.
FIELDS = (
    *("id", "user_id", "comment", "state", "state_reason", "partition", "priority", "batch_host"),
    *("submit_time", "start_time", "end_time", "time_limit", "requeue_count", "exit_code"),
    *("exit_code_signal", "array_tasks_waiting"),
)
#: Anybody's text, in any encoding: unreadable, it counts as empty rather than as no job.
TEXTS = frozenset(["comment", "state_reason"])


def told(job) -> list:
    """What is told of one job."""
    values = []
    for name in FIELDS:
        try:
            values.append(getattr(job, name))
        except UnicodeDecodeError:
            if name not in TEXTS:
                raise
            values.append(None)
    return values


def answer(pyslurm) -> dict:
    """All jobs, or that nobody answers."""
    try:
        jobs = pyslurm.Jobs.load()
    except Exception as error:
        return {"silent": f"pyslurm: {error}"}
    found, skipped = [], []
    for job in jobs.values():
        try:
            found.append(told(job))
        except Exception as error:
            skipped.append(f"{type(error).__name__}: {error}")
    return {"jobs": found, "skipped": skipped}


def write(out, content: dict) -> None:
    """One frame."""
    text = json.dumps(content).encode()
    out.write(b"%d\n" % len(text) + text)
    out.flush()


def main() -> int:
    """Answer until standard input ends."""
    # libslurm writes its complaints where it likes; nothing but frames may get between the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import pyslurm

    for needed in FIELDS:
        if not hasattr(pyslurm.Job, needed):
            raise SystemExit(f"this pyslurm tells no {needed} of a job")
    write(out, {"version": pyslurm.__version__})
    while os.read(0, 1):
        write(out, answer(pyslurm))
    return 0


if __name__ == "__main__":
    sys.exit(main())
