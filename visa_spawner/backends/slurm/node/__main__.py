"""Take the token, put the session together, become its runtime."""

from __future__ import annotations

import os
import signal
import sys

from visa_session.contract import EXIT_BAD_INFO

from . import apptainer, bubblewrap, charliecloud, gpus, plain, seat, spool
from . import plan as plans
from .environment import compose
from .plan import NotFit

RUNTIMES = {
    "apptainer": apptainer,
    "bubblewrap": bubblewrap,
    "charliecloud": charliecloud,
    "plain": plain,
}
#: Left to the session: blocked until it listens for them, so that none is lost and no runtime on the way dies
#: of one and takes the session with it. Slurm sends them to all processes of a job.
FOR_THE_SESSION = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def main() -> None:
    """The command: the spool's directory and the session's nonce; becomes the session or ends with a code."""
    if sys.argv[1:2] == ["--seat"]:
        seat.hold(sys.argv[2] if len(sys.argv) > 2 else seat.PLAIN, os.environ)
    try:
        if len(sys.argv) != 3:
            raise NotFit(EXIT_BAD_INFO, "This program is started by a job of VISA's alone.")
        arguments, environment, pipe = prepare(sys.argv[1], sys.argv[2], os.environ)
        os.chdir("/")
        os.umask(0o022)
        os.dup2(pipe, 0)
        os.closerange(3, 4096)
        signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_SESSION)
        os.execvpe(arguments[0], arguments, environment)
    except NotFit as reason:
        print(f"visa-slurm-node: {reason.words}", file=sys.stderr, flush=True)
        sys.exit(reason.code)
    except OSError as error:
        print(f"visa-slurm-node: The session could not be started: {error}.", file=sys.stderr, flush=True)
        sys.exit(EXIT_BAD_INFO)


def prepare(directory: str, nonce: str, job) -> tuple:
    """What to execute, with which environment, and the pipe for its standard input; raises NotFit."""
    count = job.get("SLURM_RESTART_COUNT", "")
    pipe = spool.wait_for_token(directory, nonce, int(count) if count.isdigit() else 0)
    plan = plans.read(spool.read_plan(directory, nonce))
    runtime = RUNTIMES.get(plan.runtime)
    if runtime is None:
        raise NotFit(EXIT_BAD_INFO, "The plan of this session names a runtime that is not known.")
    given = gpus.devices(plan, job)
    environment = compose(plan, job, given, runtime.INSIDE)
    wanted = given + gpus.common(plan, given)
    return (*runtime.command(plan, directory, wanted, environment), pipe)


if __name__ == "__main__":
    main()
