"""A session that runs where it does not reach the hub, as behind a packet filter: found by its own log.

It tries without end, for a hub that is away comes back. But whoever reads in its log that it tries in vain is
the hub, which is there: so its start is given up long before its time is over, and the reason is said.
"""

from __future__ import annotations

import asyncio
import time

from jupyterhub.app import JupyterHub

from visa_session.contract import UNHEARD

#: Lines of the log that are looked at: more than it says while it tries.
LINES = 200


async def unheard(child, seconds: float) -> str:
    """What the session's log says of it, once it has gone on for so many seconds; else this never returns.

    What stands there from a time before is not enough, when the hub was away. Most sessions are there before
    the first look, which is a question to the engine or a run of the launcher.
    """
    first, since = 0, 0.0
    await asyncio.sleep(seconds / 4)
    while True:
        await asyncio.sleep(seconds / 4)
        try:
            lines = await child.last_lines(LINES)
        except Exception:
            child.log.exception("What a session says that starts could not be read")
            continue
        said = [line for line in lines if UNHEARD in line]
        if not said or JupyterHub.instance().http_server is None:
            continue  # a hub that starts finds sessions that could not reach it, through no fault of theirs
        if not since:
            first, since = len(said), time.monotonic()
        elif len(said) > first and time.monotonic() - since >= seconds:
            return said[-1]
