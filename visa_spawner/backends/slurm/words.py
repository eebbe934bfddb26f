"""How a job stands, as a sentence for the session's owner: what is, and what to do next."""

from __future__ import annotations

from datetime import UTC, datetime

from visa_session import contract

from ...session import State, Status
from ...words import hours
from .. import words as ends
from .queue import Queue, head
from .reasons import hopeless, sentence, shown
from .seen import ENDED, Job

_AGAIN = "Start it again"
_STAFF = "if it happens twice, tell the facility's staff"
#: States in which the job's processes are there, or are just ending.
_BEGUN = frozenset("RUNNING SUSPENDED STOPPED SIGNALING RESIZING STAGE_OUT COMPLETING".split())

STOPPED = "Stopped."
NEVER_STARTED = ends.NEVER_STARTED
FORGOTTEN = Status(
    State.FAILED, f"The cluster no longer knows this session, nor how it ended. {_AGAIN}; {_STAFF}."
)


def unknown(since: datetime) -> Status:
    """The controller has not answered since then: nothing is known to have changed."""
    return Status(
        State.UNKNOWN,
        f"The cluster has not answered since {moment(since)}, so nobody can tell how this session stands."
        " What runs there runs on.",
        since,
    )


def has_begun(job: Job) -> bool:
    """Whether the job's processes run, as far as Slurm says."""
    return job.state in _BEGUN


def starts_again(job: Job) -> str:
    """A job that was put back into the queue and runs again, until its session answers."""
    return f"The cluster starts the session again{_on(job)}, for the {ordinal(job.restarts + 1)} time."


def status_of(job: Job, queue: Queue, *, memory: int = 0, now: datetime | None = None) -> Status:
    """A session's status by its job; `memory` are the bytes it was given, 0 where that is not known."""
    now = now or datetime.now(UTC)
    if job.state in ENDED:
        status = _ended(job, memory)
        return Status(status.state, status.words, job.end or now)
    if job.waiting:
        return Status(State.STARTING, _waiting(job, queue, now), job.submitted or now, queued=True)
    since = job.start or now
    match job.state:
        case "CONFIGURING":
            return Status(State.STARTING, f"The cluster prepares its machine{_named(job)}.", since)
        case "COMPLETING" | "STAGE_OUT":
            return Status(State.STOPPING, "The cluster clears its machine; the session is over there.", since)
        case "SUSPENDED":
            words = (
                "The cluster has suspended the session, since something more urgent needs its machine or its"
                " staff wanted it. It goes on by itself where it was; nothing is lost."
            )
            return Status(State.SUSPENDED, words, since, held=True)
        case "STOPPED":
            words = (
                "The session's processes were stopped with `scancel --signal=STOP`."
                f" `scancel --signal=CONT {job.id}` lets them go on."
            )
            return Status(State.SUSPENDED, words, since, held=True)
        case "RUNNING" | "SIGNALING" | "RESIZING":
            words = f"Running{_on(job)}."
        case _:
            # A state of a later Slurm: not among those that end a job, so the session is taken to run.
            words = f"The cluster says `{shown(job.state)}` of the session."
    return Status(State.RUNNING, words, since)


def _waiting(job: Job, queue: Queue, now: datetime) -> str:
    parts = []
    if job.restarts:
        parts.append("The cluster put it back into the queue, and starts it again by itself.")
    held = {
        "REQUEUE_HOLD": "The cluster put it back into the queue and holds it there, since it could not run."
        " Stop it, and tell the facility's staff.",
        "SPECIAL_EXIT": "The cluster put it back into the queue and holds it there, as sites do after some"
        " exit codes. Stop it, and tell the facility's staff.",
        "RESV_DEL_HOLD": "Its reservation was removed, so the cluster holds it. Stop it and start again with"
        " another plan.",
        "REQUEUE_FED": "Another cluster of the federation takes it over.",
    }.get(job.state)
    if held:
        return held
    if hopeless(job.reason):
        return f"The session cannot start as it is. {sentence(job.reason)}"
    place = queue.place(job)
    expected = job.start if job.start and job.start > now else None
    if place is None:
        if head(job.reason) == "BeginTime" and expected:
            reason = f"It may begin {moment(expected, now, at='at')} at the earliest."
        elif not job.priority and head(job.reason) in ("", "None"):
            reason = sentence("JobHeldAdmin")
        else:
            reason = sentence(job.reason)
        return " ".join(["Waiting in the queue.", *parts, reason]).strip()
    first = f"Waiting in the queue: {ordinal(place.number)} of {place.count}"
    if expected:
        first += f", expected to start {moment(expected, now, at='at')}"
    return " ".join([f"{first}.", *parts, sentence(job.reason)]).strip()


def _ended(job: Job, memory: int) -> Status:
    match job.state:
        case "OUT_OF_MEMORY":
            much = f"its {ends.size(memory)} of memory" if memory else "the memory it had"
            words = (
                f"The session used more than {much} and was stopped."
                " Start again with a larger plan, or load less at once."
            )
        case "TIMEOUT":
            words = f"The session used all of {_limit(job)} and was ended. {_AGAIN}, for longer if need be."
        case "CANCELLED":
            words = f"The session was cancelled on the cluster{_by(job)}."
        case "NODE_FAIL":
            words = f"The machine of the session failed{_named(job)}. {_AGAIN}; what was saved is there."
        case "PREEMPTED":
            words = (
                "The cluster needed the session's machine for something more urgent and ended it."
                f" {_AGAIN}; it then waits for its turn."
            )
        case "BOOT_FAIL":
            words = f"The machine of the session could not be started{_named(job)}. {_AGAIN}; {_STAFF}."
        case "DEADLINE":
            words = f"The session could no longer end before its deadline, so it was given up. {_AGAIN}."
        case "REVOKED":
            words = (
                f"Another cluster of the federation took the session, where it cannot be followed. {_AGAIN}."
            )
        case _:
            return _of_exit(job, memory)
    return Status(State.FAILED, words)


def _of_exit(job: Job, memory: int) -> Status:
    """COMPLETED and FAILED: by what the session's process ended with."""
    code = job.exit_code or (128 + job.signal if job.signal else 0)
    if code == contract.EXIT_NO_TOKEN:
        return Status(
            State.FAILED,
            "The cluster started the session again, and the hub did not answer for it in time."
            f" {_AGAIN}; {_STAFF}.",
        )
    if job.state == "FAILED" and (not code or head(job.reason) == "JobLaunchFailure"):
        why = "" if head(job.reason) in ("", "None") else f" (`{shown(job.reason)}`)"
        return Status(
            State.FAILED, f"The cluster could not run the session{_on(job)}{why}. {_AGAIN}; {_STAFF}."
        )
    if code == ends.KILLED and not memory:
        return Status(State.FAILED, f"The session was killed{_on(job)}. {_AGAIN}; {_STAFF}.")
    return ends.of_end(code, out_of_memory=False, memory=memory, started=True)


def _by(job: Job) -> str:
    if job.cancelled_by is None:
        return f", with `scancel`, by you or by the cluster's staff. {_AGAIN} if it was not you"
    if job.cancelled_by == 0:
        return ", by its administrator. Ask the facility's staff, or start it again"
    if job.cancelled_by == job.uid:
        return f", with `scancel` under your own account. {_AGAIN} when you need it"
    return f", by somebody who may do that there (account {job.cancelled_by}). Ask the facility's staff"


def _limit(job: Job) -> str:
    return f"its {hours(job.limit.total_seconds() / 3600)}" if job.limit else "its time"


def _on(job: Job) -> str:
    return f" on {job.host}" if job.host else ""


def _named(job: Job) -> str:
    return f" ({job.host})" if job.host else ""


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `13th`."""
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def moment(when: datetime, now: datetime | None = None, *, at: str = "") -> str:
    """A time for people: `14:05 UTC` today, else `30 Nov 2026, 14:05 UTC`; `at`: within a sentence."""
    when = when.astimezone(UTC)
    if when.date() == (now or datetime.now(UTC)).date():
        return f"{at} {when:%H:%M} UTC".strip()
    return f"{'on ' * bool(at)}{when.day} {when:%b %Y, %H:%M} UTC"
