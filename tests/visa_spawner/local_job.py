"""What `LocalQueue` submits: a job of a cluster that needs no hub to wait, to run, and to be put back.

Arguments: the directory of marks, the session's key. While `hold-queue` exists it waits for its place; when
`KEY.requeue` comes, its process is killed and it waits again. Each run takes its token from a file.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

marks, key = Path(sys.argv[1]), sys.argv[2]
job = json.loads((marks / f"{key}.job").read_text())
restarts = 0


def say(state, **more):
    new = marks / f"{key}.new"
    new.write_text(json.dumps({"state": state, "restarts": restarts} | more))
    new.replace(marks / f"{key}.state")


def until(condition):
    while not (found := condition()):
        time.sleep(0.02)  # between two looks; who waits for the job has the limit
    return found


def read(file):
    return file.read_text() if file.exists() else ""


def run():
    """One run; whether there is to be another."""
    say("queued")
    until(lambda: not (marks / "hold-queue").exists())
    say("running", began=time.time())
    token = until(lambda: read(marks / f"{key}.token-{restarts}"))
    with open(marks / f"{key}.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", Path(__file__).with_name("light_session.py"), marks, key, job["image"]],
            env=job["environment"] | {"JUPYTERHUB_API_TOKEN": token},
            cwd="/",
            stdout=log,
            stderr=log,
            user=job["uid"],
            group=job["gid"],
            start_new_session=True,
        )
    requeue = marks / f"{key}.requeue"
    until(lambda: process.poll() is not None or requeue.exists())
    if not requeue.exists():
        say("ended", code=process.returncode)
        return False
    process.kill()
    process.wait()
    os.unlink(requeue)
    return True


while run():
    restarts += 1
