"""The command `visa-session`: check that the session is fit to start, then run its server.

With `--wait` it is nobody's at first, and waits with all done that takes time until it is told whose it is;
in a machine `--hand-over` says so, or `--claim` asks. From there on both ways are one. `--change-data`
changes what data a machine has. Only the standard library is imported here, and little of it: the parent
process lives as long as the session does.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .checks import NotFit, check_all
from .contract import EXIT_BAD_INFO, EXIT_NO_TOKEN, TOKEN_STDIN_VARIABLE, SessionInfo
from .listen import service_address, take_socket
from .runtime import make_runtime, prepare_environment, remove_runtime
from .secret import hide_process, take_token, wipe_environment
from .supervise import begin_supervising, fork_server, watch


@dataclass(frozen=True)
class Checked:
    """A session that is fit to be served: what it is, its bound socket, its private directory, its token."""

    info: SessionInfo
    socket: socket.socket
    runtime: Path
    token: str


def read_info() -> SessionInfo:
    """The session's description from the environment; raises NotFit when it is no such thing."""
    try:
        return SessionInfo.from_environment(os.environ)
    except ValueError as error:
        raise NotFit(EXIT_BAD_INFO, f"{error}.") from error


def check() -> Checked:
    """Take the token out of the environment and check what must hold; raises NotFit."""
    promised = TOKEN_STDIN_VARIABLE in os.environ
    token = take_token(os.environ)
    if promised and not token:
        raise NotFit(EXIT_NO_TOKEN, "This session was given no token.")
    try:
        wipe_environment(token)
        info = read_info()
        check_all(info, os.environ.get("HOME", ""))
        bound = take_socket(*service_address())
        hide_process()
        return Checked(info, bound, make_runtime(), token)
    except OSError as error:
        raise NotFit(EXIT_BAD_INFO, f"No private directory could be made: {error}.") from error


def serve_here(info: SessionInfo, bound: socket.socket, runtime: Path, token: str) -> int:
    """Serve from a child that is forked now, and imports the server itself; its process id."""

    def serve() -> int:
        from .server import serve as run

        return run(info, bound, runtime, token)

    begin_supervising()
    return fork_server(serve)


def leave_passport(info: SessionInfo) -> None:
    """Leave the session's passport beside the results, where the site wishes it."""
    from .passport import leave

    leave(info)


def main() -> None:
    """Run a session until it is told to stop; ends the process with a code of the contract."""
    serve = serve_here
    if sys.argv[1:] == ["--hand-over"]:
        from .machine import main as hand_over

        sys.exit(hand_over())
    if sys.argv[1:] == ["--change-data"]:
        from .changing import main as change_data

        sys.exit(change_data())
    if sys.argv[1:] == ["--claim"]:
        from .claim import main as claim

        sys.exit(claim())
    try:
        if sys.argv[1:2] == ["--wait"]:
            from .waiting import wait

            serve = wait(machine=sys.argv[2:] == ["--machine"]).serve
        checked = check()
    except NotFit as reason:
        sys.exit(_say(reason))
    try:
        prepare_environment(os.environ, checked.runtime, checked.info.name)
        os.chdir(os.environ["HOME"])
        server = serve(checked.info, checked.socket, checked.runtime, checked.token)
        code = watch(server, partial(leave_passport, checked.info))
    finally:
        remove_runtime(checked.runtime)
    sys.exit(code)


def _say(reason: NotFit) -> int:
    print(f"visa-session: {reason.words}", file=sys.stderr, flush=True)
    return reason.code


if __name__ == "__main__":
    main()
