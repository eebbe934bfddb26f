"""Libvirt's word for how a domain stands, as a provider says it. Its numbers are part of its interface."""

from __future__ import annotations

from ..provider import BY_HOST, SAVING, Stands

_PAUSED, SHUT_OFF, _CRASHED, _SUSPENDED = 3, 5, 6, 7
#: Why a domain is off, from virDomainShutoffReason.
_OFF = {1: "shut down", 2: "destroyed", 3: "crashed", 4: "migrated", 6: "failed", 8: "lost"}
SAVED = 5
#: Why it is off where libvirt has forgotten: it was started anew itself.
FORGOTTEN = 0
#: Why it is paused, from virDomainPausedReason: only where that is nobody's wish, or ours.
_STUCK = {3: SAVING, 5: "full", 10: "crashed"}


def stands(state: int, reason: int) -> tuple[Stands, str]:
    """How it stands, and why as far as libvirt says; "" where it does not."""
    if state == SHUT_OFF:
        return (Stands.SAVED, BY_HOST) if reason == SAVED else (Stands.ENDED, _OFF.get(reason, ""))
    if state == _CRASHED:
        return Stands.ENDED, "crashed"
    if state in (_PAUSED, _SUSPENDED):
        return Stands.PAUSED, _STUCK.get(reason, "")
    return Stands.RUNNING, ""
