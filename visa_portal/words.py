"""Sizes, times and states as people say them; used by the templates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime

from markupsafe import Markup, escape

from .models import Plan, Session

_UNITS = (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2))

#: What a session's state is called where the hub says nothing more.
STATES = {
    "starting": "Starting",
    "running": "Running",
    "unknown": "State unknown",
    "suspended": "Suspended",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "failed": "Failed",
}

#: Stock progress messages of JupyterHub, in our words; an empty one is left out.
_STOCK_STEPS = {
    "Server requested": "",
    "Spawning server...": "Starting the session",
    "Spawn cancelled": "Cancelled",
}


def size(count: int) -> str:
    """Bytes as `16 GB`; powers of two, as memory is sold."""
    for unit, worth in _UNITS:
        if count >= worth:
            return f"{count / worth:g} {unit}" if count % worth == 0 else f"{count / worth:.1f} {unit}"
    return f"{count} bytes"


def number(value: float) -> str:
    """A count of things: `4`, `0.5`."""
    return f"{value:g}"


def hours(value: float) -> str:
    """A lifetime in hours: `8 hours`, `2 days`, `30 minutes`."""
    if value < 1:
        minutes = max(1, round(value * 60))
        return "1 minute" if minutes == 1 else f"{minutes} minutes"
    if value >= 48 and value % 24 == 0:
        return f"{value / 24:g} days"
    return "1 hour" if value == 1 else f"{value:g} hours"


def hardware(plan: Plan) -> str:
    """`8 cores, 64 GB, 1 GPU`."""
    parts = []
    if plan.cpus:
        parts.append("1 core" if plan.cpus == 1 else f"{number(plan.cpus)} cores")
    if plan.memory:
        parts.append(size(plan.memory))
    if plan.gpus:
        kind = f" {plan.gpu_type.upper()}" if plan.gpu_type else ""
        parts.append(f"{plan.gpus}{kind} GPU{'s' if plan.gpus > 1 else ''}")
    return ", ".join(parts)


def room(plan: Plan) -> Markup:
    """What is free for a plan now, and how long one waits; empty where nobody counts."""
    free = plan.free
    if free is None:
        return Markup("")
    said = free.words or _count(free.sessions)
    if not plan.waits:
        return escape(said)
    expected = Markup(", expected {}").format(clock(free.expected)) if free.expected else ""
    return escape(f"{said.removesuffix('.')}. Waits in the queue") + expected


def _count(sessions: int) -> str:
    if sessions <= 0:
        return "No room now"
    return "Room for 1 now" if sessions == 1 else f"Room for {sessions} now"


def standing(session: Session) -> str:
    """What a session's state is called."""
    if session.queued and session.state == "starting":
        return "In the queue"
    return STATES.get(session.state, session.state)


#: What is said of a session that is about to end: when so many minutes are left, the shortest first.
ENDINGS = ((5, "Ends in less than 5 minutes"), (30, "Ends in less than 30 minutes"))


def ending(session: Session, now: datetime | None = None) -> str:
    """A warning for a session that is about to end; empty while there is time."""
    if session.ends is None or session.state not in ("running", "unknown", "suspended"):
        return ""
    minutes = (session.ends - (now or datetime.now(UTC))).total_seconds() / 60
    return next((said for left, said in ENDINGS if minutes < left), "")


def duration(seconds: float) -> str:
    """A stretch of time, as exact as it matters: `2 days 3 h`, `3 h 12 min`, `less than a minute`."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    days, rest = divmod(minutes // 60, 24)
    return f"{days} days {rest} h" if rest else f"{days} days"


def left(session: Session, now: datetime | None = None) -> str:
    """The time a session has left, or nothing where it has no end."""
    if session.ends is None:
        return ""
    seconds = (session.ends - (now or datetime.now(UTC))).total_seconds()
    return duration(seconds) if seconds > 0 else "at its end"


def dates(start: date, end: date) -> str:
    """A beamtime's days: `3-7 Mar 2025`, with an en dash."""
    if start == end:
        return f"{start.day} {start:%b %Y}"
    if (start.year, start.month) == (end.year, end.month):
        return f"{start.day}–{end.day} {end:%b %Y}"
    if start.year == end.year:
        return f"{start.day} {start:%b} – {end.day} {end:%b %Y}"
    return f"{start.day} {start:%b %Y} – {end.day} {end:%b %Y}"


def moment(when: datetime | None) -> Markup:
    """A `<time>`: in UTC as sent, in the browser's own zone as soon as its script runs."""
    if when is None:
        return Markup("")
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return Markup('<time datetime="{}" data-moment>{}</time>').format(
        when.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{when.day} {when:%b %Y, %H:%M} UTC"
    )


def clock(when: datetime) -> Markup:
    """A `<time>` of today or soon: in UTC as sent, in the browser's own zone as soon as its script runs."""
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return Markup('<time datetime="{}" data-clock>{}</time>').format(
        when.isoformat(timespec="seconds").replace("+00:00", "Z"), f"{when:%H:%M} UTC"
    )


def foreign(text: str) -> Markup:
    """Text that others wrote: set apart, so that its direction does not spill into ours."""
    return Markup("<bdi>") + escape(text) + Markup("</bdi>")


def step(event: dict) -> str:
    """The words of a progress event; empty when it says nothing a person needs."""
    message = str(event.get("message") or "").strip()
    return _STOCK_STEPS.get(message, message)


def failure(event: dict) -> str:
    """Why a start failed, from the hub's last event, without the hub's own preamble."""
    message = str(event.get("message") or "").strip()
    for preamble in ("Spawn failed:", "Spawn failed"):
        message = message.removeprefix(preamble).strip()
    if message == "Spawn cancelled":
        return "The start was cancelled."
    return message[:1].upper() + message[1:] or "The session did not start."


def some(values: Sequence[str], most: int = 3) -> str:
    """A list cut short: `a, b, c and 2 more`."""
    if len(values) <= most:
        return ", ".join(values)
    return f"{', '.join(values[:most])} and {len(values) - most} more"


def paragraphs(text: str) -> list[str]:
    """A text's paragraphs, which an empty line sets apart."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def lower_first(text: str) -> str:
    """A sentence as it goes on after a colon."""
    return text[:1].lower() + text[1:]
