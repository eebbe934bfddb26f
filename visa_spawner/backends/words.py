"""How the end of a container is said to the session's owner."""

from __future__ import annotations

import re

from visa_session import contract

from ..session import State, Status

_MEANINGS = {
    contract.EXIT_NOT_READ_ONLY: "The raw data could not be protected from writing, so the session did not"
    " start. Tell the facility's staff.",
    contract.EXIT_GPU_MISSING: "The session did not find the GPU it was promised, so it did not start."
    " Try again, or choose another plan.",
    contract.EXIT_BAD_INFO: "The session was started with settings it does not understand."
    " Tell the facility's staff.",
    contract.EXIT_HOME_UNUSABLE: "Your home directory cannot be used from this session."
    " Tell the facility's staff.",
}
#: Codes of a process that was asked to end and did.
ENDED_QUIETLY = (0, 143)
KILLED = 137
NEVER_STARTED = Status(
    State.FAILED, "The service was restarted while this session was starting. Start it again."
)
STOPPED = Status(State.STOPPED, "Stopped.")
REMOVED = Status(State.FAILED, "The session was removed on its node by somebody else. Start it again.")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[^\t\x20-\x7e\x80-\U0010ffff]|[\x80-\x9f]")


def paused() -> Status:
    """The session's processes are there and stand still, by staff's hand: its owner has no such button."""
    said = (
        "The facility's staff have paused the session on its node. It goes on by itself where it was when"
        " they let it; nothing is lost."
    )
    return Status(State.SUSPENDED, said, held=True)


def size(count: int) -> str:
    """A number of bytes for people: `16 GB`, `300 MB`."""
    for unit, name in ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{count} bytes"


def of_end(code: int, *, out_of_memory: bool, memory: int, started: bool) -> Status:
    """What happened, and what to do next; `started` is False when the server never listened.

    An engine may call it `out_of_memory` when any program in it ever was, which the session outlived.
    """
    if out_of_memory and code not in ENDED_QUIETLY:
        return Status(
            State.FAILED,
            f"The session used more than its {size(memory)} of memory and was stopped."
            " Start again with a larger plan, or load less at once.",
        )
    if code in _MEANINGS:
        return Status(State.FAILED, _MEANINGS[code])
    if code == KILLED:
        return Status(
            State.FAILED,
            f"The session was killed on its node. Taking more than its {size(memory)} of memory is the usual"
            " reason. Start again, with a larger plan if it happens twice.",
        )
    if code in ENDED_QUIETLY and started:
        return Status(State.STOPPED, "The session ended.")
    return Status(
        State.FAILED,
        f"The session ended by itself{'' if started else ' before it was ready'} (code {code}). Start again;"
        " if it happens twice, tell the facility's staff.",
    )


def how_it_ended(state: dict, *, memory: int, started: bool) -> tuple[Status, int]:
    """Status and exit code of a container that does not run, from the engine's inspection of its state."""
    if state["Status"] in ("created", "configured", "initialized"):
        return NEVER_STARTED, 1
    code = int(state["ExitCode"])
    out_of_memory = bool(state.get("OOMKilled"))
    return of_end(code, out_of_memory=out_of_memory, memory=memory, started=started), code


def clean_lines(text: bytes, count: int) -> list[str]:
    """The last lines of a log, without what would act on a terminal, each of bounded length."""
    lines = text[-65536:].decode("utf-8", "replace").splitlines()
    return [_CONTROL.sub("", line)[:500] for line in lines[-count:]] if count > 0 else []
