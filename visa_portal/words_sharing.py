"""Who is in a session, as what and by which way, as people say it; used by the templates."""

from __future__ import annotations

from markupsafe import Markup

from .models_sharing import Member
from .words import foreign, moment

#: What each role can do, said to the owner.
ROLES = {
    "viewer": (
        "Viewer",
        "sees the desktop live, and nothing else: no keyboard or mouse, no clipboard, no files, no terminal.",
    ),
    "collaborator": (
        "Collaborator",
        "works with you on the desktop and in JupyterLab, with your account: your files, your terminal, "
        "all that you may read and change. Cannot stop, delete, extend or share the session.",
    ),
}
#: The same, said to somebody who was let in.
YOURS = {
    "viewer": "You see the desktop live. Keyboard, mouse and clipboard are the owner's alone.",
    "collaborator": "You work on the desktop and in JupyterLab together with the owner, with the owner's "
    "files and account.",
}
#: What happens to the others when the owner's last connection closes, by the site's policy.
AWAY = {
    "leave": "When you close your last connection, the others go on as before.",
    "view-only": "When you close your last connection, the others can only watch until you are back.",
    "disconnect": "When you close your last connection, the others are disconnected until you are back.",
}
#: How long a link can be good, in hours.
LINK_HOURS = ((1, "1 hour"), (8, "8 hours"), (24, "1 day"), (72, "3 days"), (168, "1 week"))


def way(member: Member, owner: str) -> Markup:
    """How a member came in: `by your invitation`, `through the team of A-1`, `support, until 16:05`."""
    since = Markup(", since {}").format(moment(member.since)) if member.since else Markup("")
    until = Markup(", until {}").format(moment(member.until)) if member.until else Markup("")
    if member.support or member.way == "support":
        return Markup("support") + since + until
    if member.way == "team":
        said = Markup("through the team of {}").format(foreign(member.by_way_of))
    elif member.way == "link":
        said = Markup("by a link")
    elif member.way == "hub":
        said = Markup("let in outside of these pages")
    elif member.granted_by in ("", owner):
        said = Markup("by your invitation")
    else:
        said = Markup("invited by {}").format(foreign(member.granted_by))
    return said + since + until


def watching(member: Member) -> Markup:
    """The banner while support is let in, as the session has it: `NAME from support is watching`."""
    controls = member.role == "collaborator"
    if member.present:
        doing = "is controlling" if controls else "is watching"
    else:
        doing = "may come in and work with you" if controls else "may come in and watch"
    return Markup("{} from support {}").format(foreign(member.called), doing)


def asks(role: str) -> str:
    """What support wants to do: `watch` or `work together with you`."""
    return "work together with you" if role == "collaborator" else "watch"


def people(count: int) -> str:
    """`1 person`, `3 people`."""
    return "1 person" if count == 1 else f"{count} people"
