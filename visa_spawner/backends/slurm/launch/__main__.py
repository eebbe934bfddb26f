"""One request: read, check, become the person, do it, answer."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys

from . import configuration, person, request, slurm
from .files import KINDS, Spool
from .refusals import Refused

#: Exit code when it must not run at all (EX_CONFIG); what it says is on its standard error.
MUST_NOT_RUN = 78


def main(place: str = configuration.PLACE) -> None:
    """Answer one request from standard input; ends the process."""
    _settle()
    if len(sys.argv) > 1:
        sys.exit(_must_not_run("it takes no arguments"))
    if os.geteuid() != 0:
        sys.exit(_must_not_run("it must be run as root, by sudo; see docs/operators/slurm.md"))
    try:
        allowed = configuration.read(place)
    except configuration.Unusable as error:
        sys.exit(_must_not_run(str(error)))
    try:
        answer = carry_out(request.parse(request.read(0), allowed), allowed)
    except Refused as refused:
        answer = {"refused": refused.kind, "text": refused.text}
    try:
        os.write(1, json.dumps(answer, ensure_ascii=True).encode() + b"\n")
    except BrokenPipeError:
        pass  # who asked is gone; what was asked is done


def carry_out(asked: request.Request, allowed: configuration.Configuration) -> dict:
    """Do what a request asks, as the person; the answer. Raises Refused."""
    person.check(asked.username, asked.uid, asked.gid)
    if asked.do == "extend":
        # The one thing that people cannot do with their own jobs.
        if not allowed.extend:
            raise Refused("not_allowed", "this site does not let sessions be extended")
        slurm.check_owner(allowed, asked.job_id, asked.uid)
        slurm.extend(allowed, asked.job_id, asked.minutes)
        return {}
    person.become(asked.username, asked.uid, asked.gid)
    if asked.do == "cancel":
        slurm.cancel(allowed, asked.job_id)
        return {}
    if asked.do == "hold":
        return {"job": slurm.hold(allowed, asked.job, asked.mark, asked.image)}
    path = allowed.spool.format(uid=asked.uid)
    spool = Spool(path, asked.uid)
    if asked.do == "submit":
        return {"job": submit(asked, allowed, spool, path)}
    if asked.do == "deliver":
        spool.write(f"{asked.nonce}.token", token_file(asked.token, asked.run))
        return {}
    if asked.do == "log":
        return {"lines": spool.last_lines(f"{asked.nonce}.log", asked.uid, asked.lines)}
    spool.remove(*(f"{asked.nonce}.{kind}" for kind in KINDS))
    return {}


def token_file(token: str, run: int) -> bytes:
    """A token, and of which run of the job it is: 0 the first, -1 any that follows."""
    return f"{run}\n{token}\n".encode()


def submit(asked: request.Request, allowed: configuration.Configuration, spool: Spool, path: str) -> int:
    """Write the files, then submit; the files of a job that Slurm refuses are gone again."""
    try:
        spool.write(f"{asked.nonce}.plan", asked.plan.encode())
        spool.write(f"{asked.nonce}.token", token_file(asked.token, 0))
        return slurm.submit(allowed, asked.job, asked.mark, path, asked.nonce)
    except Refused as refused:
        if refused.kind != "silent":
            spool.remove(*(f"{asked.nonce}.{kind}" for kind in KINDS))
        raise


def _settle() -> None:
    """Leave nothing of who started this: no umask, no files, no core with a token in it."""
    os.umask(0o022)
    os.chdir("/")
    os.closerange(3, 4096)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Begun, it is gone through with: a hub that is stopped leaves nothing half done.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)


def _must_not_run(text: str) -> int:
    print(f"visa-slurm-launch: {text}", file=sys.stderr)
    return MUST_NOT_RUN


if __name__ == "__main__":
    main()
