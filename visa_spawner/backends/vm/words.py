"""How a machine stands, and how it ended, as its session's owner reads it."""

from __future__ import annotations

import re
from datetime import datetime

from ...session import StartRefused, State, Status
from .. import words
from .provider import BY_HOST, FAULTY, KEEPS_ROOM, SAVING, UNSERVED, Machine, Refused, Silent, Stands

SILENT = "The service that runs virtual machines does not answer at the moment."
NO_BOOT = (
    "The machine did not come up in time. Start it again; if it happens twice, tell the facility's staff."
)
NOT_TAKEN = (
    "The machine came up and could not become this session. Start it again; if it happens twice, tell the"
    " facility's staff."
)
RUNNING = Status(State.RUNNING, "Running in a machine of its own.")
UNREACHED = Status(
    State.RUNNING,
    "Running, but its home and data cannot be reached any more, by a fault of its host: what waits for them"
    " hangs. Stop the session and start it again.",
)
UNSOUND = Status(
    State.RUNNING,
    "Running, but the service that runs virtual machines says that something is wrong with this one. Save"
    " your work; the facility's staff can see what it is.",
)
SAVED = "The machine was put away by its host, and stands still. The facility's staff can have it go on."
SUSPENDED = (
    "It stands still and takes no cores and no memory, until it is resumed: then it goes on where it was."
    " Its time goes on meanwhile."
)
SUSPENDED_IN_ITS_ROOM = (
    "It stands still until it is resumed: then it goes on where it was. Its cores and memory are kept for"
    " it, and its time goes on meanwhile."
)
SUSPENDING = "It is being suspended: what is in its memory is written to disk."
RESUMING = "It is being resumed: what was in its memory is read back."
NOT_MOVED = f"{SILENT} Look at the session again in a minute."
NO_ROOM = "There is no room for it to go on now."
LET_GO = (
    "It was suspended, and its home and data were let go meanwhile, as when its host is started anew, so it"
    " cannot go on. Stop it and start it again."
)
REMOVED = Status(State.FAILED, "The machine was removed by somebody else. Start it again.")
_AGAIN = "Start it again; if it happens twice, tell the facility's staff."
#: What the machine says last, of how its session ended: a word of the guest's about itself.
_OVER = re.compile(rb"visa-session: over, (exited|killed|dumped) ([0-9]{1,3}|[A-Z0-9+-]{2,12})\s*$", re.M)


def unknown(since: datetime, stop_wanted: bool) -> Status:
    """The provider does not answer."""
    late = " The session will be ended when it does." if stop_wanted else ""
    return Status(State.UNKNOWN, SILENT + late, since)


def of_machine(machine: Machine | None, since: datetime) -> Status:
    """How a session's machine stands that has not ended; `since` when it stands still."""
    if machine is not None and machine.stands is Stands.SAVED and machine.why != BY_HOST:
        said = {UNSERVED: LET_GO, KEEPS_ROOM: SUSPENDED_IN_ITS_ROOM}.get(machine.why, SUSPENDED)
        return suspended(said, since)
    if machine is not None and machine.stands is Stands.PAUSED and machine.why == SAVING:
        return suspended(SUSPENDING, since)
    if machine is None or machine.stands not in (Stands.PAUSED, Stands.SAVED):
        return {UNSERVED: UNREACHED, FAULTY: UNSOUND}.get(machine.why if machine else "", RUNNING)
    return paused(machine, since)


def suspended(said: str, since: datetime) -> Status:
    """It stands still as its owner wished, or is on its way there or back."""
    return Status(State.SUSPENDED, said, since, held=True)


def paused(machine: Machine, since: datetime) -> Status:
    """Stopped for now, by somebody else than its owner."""
    if machine.stands is Stands.SAVED:
        return Status(State.UNKNOWN, SAVED, since, held=True)
    why = {
        "full": "The host of this machine has no room left on its disk, so the machine stands still.",
        "crashed": "The machine has stopped by itself, and stands still.",
    }.get(machine.why, "The machine is paused on its host.")
    return Status(State.UNKNOWN, f"{why} The facility's staff can have it go on.", since, held=True)


def how_it_ended(machine: Machine, console: bytes, *, memory: int, started: bool) -> tuple[Status, int]:
    """Status and exit code of a machine that has ended, from its provider's word and its console."""
    said = _OVER.findall(console)
    if said:
        how, what = said[-1]
        code = int(what) if how == b"exited" and what.isdigit() else 1
        return words.of_end(code, out_of_memory=False, memory=memory, started=started), code
    why = {
        "crashed": "The machine crashed.",
        "destroyed": "The machine was switched off by somebody else.",
        "failed": "The machine could not be started by its host.",
        "no room": "There was no room for the machine.",
        "lost": "The machine was lost by its host.",
        "shut down": "The machine was shut down or started anew from inside, which ends its session.",
    }.get(machine.why, "The machine has ended, as when its host is switched off.")
    return Status(State.FAILED, f"{why} {_AGAIN}"), 1


def refusal_for(error: BaseException) -> StartRefused | None:
    """The refusal that stands for an error; None for a cancelled start or a defect."""
    if isinstance(error, StartRefused):
        return error
    if isinstance(error, Silent):
        return StartRefused(f"{SILENT} Try again in a minute.", status=503, reason="provider")
    if isinstance(error, Refused):
        field = {"image": "profile", "room": "plan"}.get(error.reason, "")
        return StartRefused(error.words, field=field, status=503, reason=error.reason)
    return None
