"""Whether this machine's clock is right: tokens, certificates and munge all go by it."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime

from visa_spawner.backends.engine import EngineRefused, EngineSilent
from visa_spawner.backends.nodes import Node

from ..finding import fine, unchecked, warning, wrong
from ..http import NoAnswer, ask
from ..installation import Installation
from ..looking import Look, each_of

#: Seconds. A Date header tells whole ones, and took its time to come.
NOTICED, TOO_FAR = 3, 30
#: adjtimex(2): the state in which the kernel says that nobody keeps its clock.
_TIME_ERROR = 5
_SYNC = "`apt install chrony` where nothing keeps it, else `chronyc tracking` or `timedatectl`."


async def look(here: Installation) -> Look:
    """The kernel's word, and the difference to others' clocks."""
    looks = {"": _own()}
    if here.has_own_login and here.login.issuer:
        looks["identity provider"] = _provider(here)
    if here.plans("container"):
        looks |= {node.name: _node(here, node) for node in here.nodes if not node.is_local}
    async for finding in each_of(looks, here.limit):
        yield finding


async def _own() -> Look:
    state = _kernel_state()
    if state is None:
        yield unchecked("Whether the clock is kept is not known: the kernel does not say.")
    elif state == _TIME_ERROR:
        yield warning("Nobody keeps this machine's clock (no NTP).", _SYNC)
    else:
        yield fine("The clock is kept by NTP.")


def _kernel_state() -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    # struct timex is smaller than this on every Linux; `modes` 0 only asks.
    buffer = ctypes.create_string_buffer(512)
    state = libc.adjtimex(buffer)
    return None if state < 0 else state


async def _provider(here: Installation) -> Look:
    address = f"{here.login.issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        answer = await ask(address, here.limit * 0.4, trust=False)
    except NoAnswer:
        yield unchecked(
            "Its clock is not known: it does not answer.", about="identity provider", because="login"
        )
        return
    if answer.date is None:
        yield unchecked("Its clock is not known: it tells no date.", about="identity provider")
        return
    yield _apart(answer.date, "identity provider", "logins are refused")


async def _node(here: Installation, node: Node) -> Look:
    try:
        about = await here.engine(node).call(lambda client: client.info())
    except (EngineSilent, EngineRefused):
        yield unchecked("Its clock is not known.", about=node.name, because="engines")
        return
    try:
        there = datetime.fromisoformat(str(about.get("SystemTime", ""))[:19] + "+00:00")
    except ValueError:
        yield unchecked("Its clock is not known: its engine tells no time.", about=node.name)
        return
    yield _apart(there, node.name, "files have times in the future and tokens end early")


def _apart(there: datetime, about: str, then: str):
    seconds = (datetime.now(UTC) - there).total_seconds()
    side = "ahead of" if seconds > 0 else "behind"
    said = f"This machine's clock is {abs(seconds):.0f} seconds {side} the one there"
    if abs(seconds) >= TOO_FAR:
        return wrong(f"{said}: {then}.", f"Find out which of the two is wrong; here: {_SYNC}", about)
    if abs(seconds) >= NOTICED:
        return warning(f"{said}.", f"Find out which of the two is wrong; here: {_SYNC}", about)
    return fine("Its clock and this machine's agree.", about)
