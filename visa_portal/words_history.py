"""The history in sentences: one table, a sentence for each kind of line that the audit log has."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from .models_sharing import Event
from .words import foreign, moment

#: What happened, in words: where somebody did it, and where time, the facility or the hub did. The names in
#: braces are a line's own and its details; `by` and `to` are staff.
SENTENCES: dict[str, tuple[str, str]] = {
    "member-granted": ("{who} let {whom} in as {role}", "{whom} got in as {role}"),
    "member-changed": ("{who} made {whom} a {role}", "{whom} became a {role}"),
    "member-ended": ("{who} ended the membership of {whom}", "The membership of {whom} ended"),
    "member-refused": ("{whom} could not get in for the time being",) * 2,
    "team-shared": ("{who} shared the session with the whole team of {experiment}, as {role}s",) * 2,
    "team-unshared": (
        "{who} shared the session with the team of {experiment} no longer",
        "The session was shared with the team of {experiment} no longer",
    ),
    "link-made": ("{who} made an invitation link for {max_uses}, as {role}, good until {expires}",) * 2,
    "link-revoked": ("{who} revoked an invitation link", "An invitation link was revoked"),
    "link-used": ("{who} came by an invitation link",) * 2,
    "link-refused": ("{who} was not let in by an invitation link",) * 2,
    "locked": ("{who} locked the session for the time when its owner is away",) * 2,
    "unlocked": ("{who} unlocked the session",) * 2,
    "entered": ("{who} came in, as {role}",) * 2,
    "left": ("{who} went out",) * 2,
    "support-asked": ("{by} asked to join, as {role}",) * 2,
    "support-answered": ("{who} answered {to}",) * 2,
    "support-lapsed": ("The request of {to} to join lapsed without an answer",) * 2,
    "support-withdrawn": (
        "{by} took the request to join back",
        "The request of {to} to join ended before an answer",
    ),
    "support-seconded": ("{by} let {to} in, as {role}, since the owner did not answer",) * 2,
    "help-asked": ("{who} asked for help",) * 2,
    "help-withdrawn": ("{who} took the request for help back",) * 2,
    "help-taken": ("{by} took the request for help",) * 2,
    "help-closed": ("{by} closed the request for help",) * 2,
    "node-drained": ("{who} let node {node} take no new sessions",) * 2,
    "node-undrained": ("{who} let node {node} take sessions again",) * 2,
    "announced": ("{who} made an announcement",) * 2,
    "announcement-ended": ("{who} ended an announcement",) * 2,
    "message-sent": ("{who}, an administrator, wrote to {whom}",) * 2,
    "session-stopped": ("{who}, an administrator, stopped the session",) * 2,
    "session-ended": ("The session ended",) * 2,
    "start-failed": ("The session did not start",) * 2,
    "data-added": ("{who} added the data of {experiment} to the running session",) * 2,
    "data-removed": ("{who} took the data of {experiment} out of the running session",) * 2,
    "claim-refused": ("A machine at {address} asked for this session and was not let have it",) * 2,
    "session-extended": ("{who} gave the session more time, until {until}",) * 2,
    "session-suspended": ("{who} suspended the session",) * 2,
    "session-resumed": ("{who} resumed the session",) * 2,
}
#: What an owner answered support, in place of the table's sentence.
ANSWERS = {
    "as-asked": "{who} let {to} in, as asked",
    "watch": "{who} let {to} in, to watch only",
    "decline": "{who} declined the request of {to} to join",
}
#: How somebody came in, after the sentence.
WAYS = {
    "team": ", through the team of {by_way_of}",
    "link": ", by an invitation link",
    "hub": ", outside of these pages",
}


def sentence(event: Event, me: str = "") -> Markup:
    """What a line of the history says to `me`; names are escaped and set apart.

    A name at its beginning stays as it is written; there is no full stop at its end.
    """
    details = event.details
    done, happened = SENTENCES.get(event.what, ("{who}: {what}", "{what}"))
    text = done if event.who else happened
    if event.what == "member-ended" and event.who == event.whom != "":
        text = "{who} gave up the membership"
    if event.what == "support-answered":
        text = ANSWERS.get(str(details.get("answer")), text)
    text += WAYS.get(str(details.get("way")), "") if event.what == "member-granted" else ""
    if "until" in details and event.what in ("member-granted", "member-changed", "support-answered"):
        text += ", until {until}"
    said = Markup(text).format_map(_Values(event, me))
    if details.get("despite"):
        said += Markup(" although {} may not be seen by them otherwise").format(
            Markup(", ").join(map(foreign, details["despite"]))
        )
    # Of an owner's own doing there is no more to say, nor of a leave.
    if details.get("why") and not (event.what == "member-ended" and event.who in (event.owner, event.whom)):
        said += Markup(": {}").format(foreign(str(details["why"]).rstrip(".")))
    return Markup(said[:1].upper()) + said[1:]


def quoted(event: Event) -> str:
    """What somebody wrote, where the line has it: a message, an announcement, a closing word."""
    return str(event.details.get("message") or event.details.get("words") or "")


class _Values(dict):
    """What the braces stand for; a detail that a line does not have is a dash."""

    def __init__(self, event: Event, me: str):
        super().__init__()
        self.event, self.me = event, me

    def __missing__(self, key: str):
        event, details = self.event, self.event.details
        if key in ("who", "by"):
            return self._name(event.who, staff=key == "by")
        if key in ("whom", "to"):
            return self._name(event.whom, staff=key == "to")
        if key == "role":
            return event.role or "member"
        if key == "what":
            return escape(event.what.replace("-", " "))
        value = details.get(key)
        if key in ("until", "expires"):
            return _moment(value)
        if key == "max_uses":
            return "one person" if value == 1 else f"{value} people"
        return foreign(str(value)) if value not in (None, "") else "–"

    def _name(self, name: str, staff: bool) -> Markup:
        if name and name == self.me:
            return Markup("you")
        said = foreign(name or "somebody")
        return said + " from support" if staff else said


def _moment(value) -> Markup:
    try:
        return moment(datetime.fromisoformat(value))
    except (TypeError, ValueError):
        return Markup("–")
