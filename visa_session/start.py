"""The command `visa-session`: check that the session is fit to start, then run its server.

Only the standard library is imported here, and little of it: the parent process lives as long as the
session does.
"""

from __future__ import annotations

import os
import sys

from .checks import NotFit, check_all
from .contract import EXIT_BAD_INFO, EXIT_NO_TOKEN, TOKEN_STDIN_VARIABLE, SessionInfo
from .listen import service_address, take_socket
from .runtime import make_runtime, prepare_environment, remove_runtime
from .secret import hide_process, take_token, wipe_environment
from .supervise import supervise


def read_info() -> SessionInfo:
    """The session's description from the environment; raises NotFit when it is no such thing."""
    try:
        return SessionInfo.from_environment(os.environ)
    except ValueError as error:
        raise NotFit(EXIT_BAD_INFO, f"{error}.") from error


def main() -> None:
    """Run a session until it is told to stop; ends the process with a code of the contract."""
    try:
        promised = TOKEN_STDIN_VARIABLE in os.environ
        token = take_token(os.environ)
        if promised and not token:
            raise NotFit(EXIT_NO_TOKEN, "This session was given no token.")
        wipe_environment(token)
        info = read_info()
        check_all(info, os.environ.get("HOME", ""))
        socket = take_socket(*service_address())
        hide_process()
        runtime = make_runtime()
    except NotFit as reason:
        sys.exit(_say(reason))
    except OSError as error:
        sys.exit(_say(NotFit(EXIT_BAD_INFO, f"No private directory could be made: {error}.")))
    try:
        prepare_environment(os.environ, runtime, info.name)
        os.chdir(os.environ["HOME"])

        def serve() -> int:
            from .server import serve as run

            return run(info, socket, runtime, token)

        def leave_passport() -> None:
            from .passport import leave

            leave(info)

        code = supervise(serve, leave_passport)
    finally:
        remove_runtime(runtime)
    sys.exit(code)


def _say(reason: NotFit) -> int:
    print(f"visa-session: {reason.words}", file=sys.stderr, flush=True)
    return reason.code


if __name__ == "__main__":
    main()
