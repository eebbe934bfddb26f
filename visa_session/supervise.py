"""Run the server in a child, and leave no process behind when it ends.

The parent stays small and does three things: it hands on the signal to stop, it reaps whatever loses its
parent (as PID 1 of a container, or as a "child subreaper" elsewhere), and when the server has ended, for
whatever reason, it ends every process that descends from it: kernels, terminals, the VNC server, the
desktop, and what a person sent to the background there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable

#: Seconds the server has for ending by itself; engines kill after 10, so all of it must fit in there.
SERVER_GRACE = 5.0
#: Seconds what is left has to end by itself after that.
REST_GRACE = 1.5
#: Seconds for what is done once beside the end.
LAST_WORK = 1.0
#: Seconds after which processes that do not even die of SIGKILL (stuck in the kernel) are given up.
KILL_LIMIT = 2.0

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
HEARD = STOP_SIGNALS | {signal.SIGCHLD}

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def prctl(option: int, value: int) -> None:
    """Call prctl(2); raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def descendants(of: int) -> set[int]:
    """Every living process below `of`; zombies are not counted."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # After the last ")", since a command's name may hold anything: state, parent, ...
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(parent), []).append(int(name) if state != b"Z" else -int(name))
    found: set[int] = set()
    waiting = [of]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            waiting.append(abs(child))
            if child > 0:
                found.add(child)
    return found


def tell(processes: set[int], *signals: signal.Signals) -> None:
    """Send signals to processes, some of which may be gone or may not be ours."""
    for process in processes:
        for number in signals:
            try:
                os.kill(process, number)
            except (ProcessLookupError, PermissionError):
                pass


def reap() -> dict[int, int]:
    """Collect every ended child: exit codes by process, 128 + N for one ended by signal N."""
    ended = {}
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if process == 0:
            return ended
        code = os.waitstatus_to_exitcode(status)
        ended[process] = code if code >= 0 else 128 - code


def end_rest() -> set[int]:
    """End all that descends from this process, asking first; what would not die is returned."""
    for signals, seconds in (((signal.SIGTERM, signal.SIGCONT), REST_GRACE), ((signal.SIGKILL,), KILL_LIMIT)):
        deadline = time.monotonic() + seconds
        told: set[int] = set()
        while left := descendants(os.getpid()):
            # Told once each: a process started meanwhile is told too, one that ends in order is not hurried.
            tell(left - told, *signals)
            told |= left
            if time.monotonic() > deadline:
                break
            signal.sigtimedwait({signal.SIGCHLD}, 0.05)
            reap()
    reap()
    return left


def end_with(parent: int) -> None:
    """End this child when its parent is killed. To be said again after each change of the user id."""
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def run_beside(work: Callable[[], None]) -> None:
    """Run something in a child of its own: after a second it ends, whatever it hangs on.

    The signals to stop stay blocked in it, so that it is not hurried while it has that second.
    """
    if os.fork() != 0:
        return
    signal.setitimer(signal.ITIMER_REAL, LAST_WORK)
    try:
        work()
    except Exception:  # noqa: BLE001 - the session ends all the same
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def begin_supervising() -> None:
    """Keep the signals that `watch` hears for it, and become the parent of what loses its own."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)


def fork_server(serve: Callable[[], int]) -> int:
    """Run `serve` in a child, with the signals as a program expects them; its process id."""
    parent = os.getpid()
    server = os.fork()
    if server != 0:
        return server
    code = 1
    try:
        end_with(parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
        code = serve()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - said as Python says it, then the child ends like any other
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # not through the parent's own clean-up, and past threads that still wait


def watch(server: int, at_end: Callable[[], None] = lambda: None) -> int:
    """Wait until the server ends or this process is told to stop, and leave nothing; the exit code.

    0 when it was told to stop and ended in order. `at_end` is run once beside the end, for a second at most.
    """
    code, asked, deadline = None, False, None
    while code is None:
        wait = 3600.0 if deadline is None else max(0.0, deadline - time.monotonic())
        heard = signal.sigtimedwait(HEARD, wait)
        if heard is not None and heard.si_signo in STOP_SIGNALS and not asked:
            asked, deadline = True, time.monotonic() + SERVER_GRACE
            tell({server}, signal.SIGTERM)
            run_beside(at_end)
        elif heard is None and deadline is not None:
            deadline = None
            tell({server}, signal.SIGKILL)
        code = reap().get(server)
    if not asked:
        run_beside(at_end)
    left = end_rest()
    if left:
        print(f"visa-session: could not end {sorted(left)}", file=sys.stderr)
    return 0 if asked and code in (0, 128 + signal.SIGTERM) else code


def supervise(serve: Callable[[], int], at_end: Callable[[], None] = lambda: None) -> int:
    """Run `serve` in a child until it ends or this process is told to stop; the exit code of `watch`."""
    begin_supervising()
    return watch(fork_server(serve), at_end)
