"""The sentences for a session's owner that are the spawner's own to say."""

from __future__ import annotations

from visa_session import contract

from .session import Status

STOPPED = "Stopped."
INTERRUPTED = "The start was stopped."
NEVER_STARTED = "The service was restarted while this session was starting. Start it again."
LOOKING = "The service has just been restarted and is looking for this session."
GOES_ON = "The service has been restarted; the start goes on."
STARTED_ANEW = "The session has to start anew; it does so by itself."
NOT_PREPARED = "The software of this profile has not been prepared here yet."
IMAGE_GONE = "that software is not on this machine any more; start with today's instead"
AGAIN = "Start it again; if it happens twice, tell the staff."
NOT_REACHED = f"The session started and could not be reached. {AGAIN}"
UNHEARD = (
    "The session's machine does not reach this service, so the start was given up. Nothing is wrong with your"
    " choice: tell the facility's staff, and take another plan until it is mended."
)
BROKEN = "The session could not be started, for a reason that the facility's staff can find in the log."
NOT_REMOVED = "Stopped. What is left of it is removed as soon as its machine answers."

_CODES = {
    contract.EXIT_NOT_READ_ONLY: "The raw data could not be protected from writing, so the session did not"
    " start. Tell the facility's staff.",
    contract.EXIT_GPU_MISSING: "The session did not find the GPU it was promised, so it did not start."
    " Try again, or choose another plan.",
    contract.EXIT_BAD_INFO: "The session was started with settings it does not understand. Tell the"
    " facility's staff.",
    contract.EXIT_HOME_UNUSABLE: "Your home directory cannot be used from this session. Tell the facility's"
    " staff.",
    contract.EXIT_NO_TOKEN: "The session did not get its key from the service in time, so it did not start."
    " Start it again; if it happens twice, tell the staff.",
}


def waited_too_long(limit: float) -> str:
    """For a session that was in the queue for so many hours."""
    return f"The session waited {hours(limit)} for its place and did not get one. Try another plan, or later."


def of_end(code: int, status: Status | None, listened: bool) -> str:
    """Why a session's process ended: the backend's own words where it has some, else by exit code."""
    if status is not None and status.words:
        return status.words
    if code in _CODES:
        return _CODES[code]
    if code == 0 and listened:
        return "The session ended."
    when = "" if listened else " before it was ready"
    return f"The session ended by itself{when} (code {code}). {AGAIN}"


def hours(count: float) -> str:
    """`8 hours`, `1 hour`, `30 minutes`, `14 days`."""
    if count < 1:
        return _count(max(1, round(count * 60)), "minute")
    if count >= 48 and count % 24 == 0:
        return _count(round(count / 24), "day")
    return f"{count:g} hour" + ("" if count == 1 else "s")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" + ("" if number == 1 else "s")
