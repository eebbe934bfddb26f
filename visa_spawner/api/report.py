"""How a session is told to people: one JSON object each, as docs/developers/interfaces.md has it."""

from __future__ import annotations

from datetime import UTC, datetime

from jupyterhub import orm
from jupyterhub.user import User

from .. import words
from ..asked.admission import Admission
from ..asked.request import SessionRequest
from ..kept.state import Kept
from ..session import State


def sessions(owner: User, *, with_log: bool) -> list[dict]:
    """All sessions of an account, running or not, in the order of their names."""
    rows = sorted(owner.orm_spawners.items())
    return [session(owner, row, with_log=with_log) for name, row in rows if name]


def session(owner: User, row: orm.Spawner, *, with_log: bool) -> dict:
    """One session."""
    spawner: Admission | None = owner.spawners.get(row.name)
    kept = spawner.kept if spawner else Kept.read(row.state)
    options = {name: field.default for name, field in SessionRequest.model_fields.items()} | kept.options
    state, said, since = _standing(spawner, kept)
    queued = bool(spawner and state is State.STARTING and spawner.queued)
    running = state in (State.STARTING, State.RUNNING, State.UNKNOWN, State.SUSPENDED, State.STOPPING)
    lives = state in (State.RUNNING, State.SUSPENDED)
    answer = {
        "owner": owner.name,
        "name": row.name,
        "title": row.display_name or row.name,
        "experiments": list(kept.options.get("experiments", ())),
        "datasets": list(kept.options.get("datasets", ())),
        "profile": kept.options.get("profile", ""),
        "profile_title": kept.profile_title,
        "plan": kept.options.get("plan", ""),
        "plan_title": kept.plan_title,
        "interface": options["interface"],
        "screen": options["screen"],
        "keyboard": options["keyboard"],
        "image": kept.options.get("image"),
        "lifetime_hours": kept.lifetime_hours or None,
        "state": str(state),
        "words": said,
        "since": moment(since),
        "started": moment(kept.started) if running else None,
        "ends": moment(kept.ends) if running and not queued else None,
        # Between a start's cancelling and its stop the hub takes a session that never came up for ready.
        "ready": bool(spawner and spawner.ready and kept.phase == "running" and not spawner.put_back),
        "queued": queued,
        "may_extend": spawner.may_extend if spawner and lives else 0,
        "may_suspend": bool(spawner and state is State.RUNNING and spawner.may_suspend),
        "may_resume": bool(spawner and state is State.SUSPENDED and spawner.may_resume),
        # None of a session that does not run: there it is a matter of the next start.
        "why_not_added": spawner.why_not_added if spawner and state is State.RUNNING else None,
        "url": owner.server_url(row.name),
        "pending": spawner.pending if spawner else None,
    }
    if with_log:
        answer["log"] = list(kept.outcome.log) if kept.outcome else []
    return answer


def _standing(spawner: Admission | None, kept: Kept) -> tuple[State, str, datetime | None]:
    """Its state, the sentence for its owner, and since when."""
    if spawner is None or not spawner.active:
        if kept.outcome is None:
            return State.STOPPED, "", None
        return kept.outcome.state, kept.outcome.words, kept.outcome.since
    match spawner.pending:
        case "stop":
            return State.STOPPING, "Stopping", kept.started
        case "spawn":
            return State.STARTING, spawner.steps.last or "Starting", kept.started
        case "check" if kept.phase == "running":
            return State.UNKNOWN, words.LOOKING, kept.started
        case "check":
            return State.STARTING, words.GOES_ON, kept.started
    if kept.phase != "running":
        return State.STOPPING, "Stopping", kept.started
    status = spawner.child_spawner.status if spawner.child_spawner else None
    if status is None:
        return State.RUNNING, "", kept.runs_since
    if status.state is State.UNKNOWN:
        return State.UNKNOWN, status.words or "Its state is not known at the moment.", status.since
    if status.state is State.SUSPENDED:
        return State.SUSPENDED, status.words, status.since
    if status.state in (State.STOPPED, State.FAILED):
        return State.STOPPING, status.words, status.since
    if spawner.put_back:
        return State.STARTING, status.words or "Starting again", status.since
    return State.RUNNING, status.words, kept.runs_since


def moment(at: datetime | None) -> str | None:
    """A time as the calls tell it."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None
