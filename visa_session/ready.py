"""Tell the hub which port the session listens on, as soon as it does."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
from collections.abc import Mapping

from aiohttp import ClientError
from jupyterhub._version import __version__, _check_version
from jupyterhub.httpclient import fetch

from .contract import READY_PATH, UNHEARD

log = logging.getLogger("visa")

#: Seconds before the second attempt, and at most between two; each wait is up to twice the one before.
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
#: Seconds one attempt may take.
ATTEMPT_LIMIT = 10.0

#: Answers with which the hub says that it does not know this session, or not any more.
REFUSED = {400, 401, 403}
#: Answers of a hub that has no such call: it finds out by itself that the session is up.
NOT_ASKED_FOR = {404, 405, 410, 501}


class Refused(Exception):
    """The hub does not want this session; the text says what it answered."""


async def post_ready(
    port: int, token: str, environment: Mapping[str, str] = os.environ, *, request: str = ""
) -> str:
    """Post the port until the hub takes it; gives the certificate that it signed, "" where none was wanted.

    With a signing `request` a certificate is. A hub that is away, restarting or in trouble is tried again
    without end: it comes back, or ends the session. Raises Refused when it answers that it does not know
    this session, or gives no certificate for it.
    """
    url = environment["JUPYTERHUB_API_URL"].rstrip("/") + "/" + READY_PATH
    headers = {
        "Authorization": f"token {token}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"port": port, "request": request} if request else {"port": port})
    wait = FIRST_WAIT
    while True:
        try:
            async with asyncio.timeout(ATTEMPT_LIMIT):
                answer = await fetch(
                    url,
                    method="POST",
                    headers=headers,
                    data=body,
                    raise_for_status=False,
                    allow_redirects=False,
                )
                status, text = answer.status, await answer.text()
        except (OSError, TimeoutError, ClientError) as error:
            in_time = f"no answer within {ATTEMPT_LIMIT:.0f} seconds"
            why = in_time if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            trouble = f"{UNHEARD}, trying again: {url}: {why}"
        else:
            if 200 <= status < 300:
                _check_version(answer.headers.get("X-JupyterHub-Version"), __version__, log)
                return _certificate(text) if request else ""
            if status in REFUSED:
                raise Refused(f"The hub refuses this session ({status}): {text[:300]}")
            if status in NOT_ASKED_FOR and request:
                raise Refused(f"The hub signs no certificates ({status}), and this session is to serve TLS.")
            if status in NOT_ASKED_FOR:
                log.warning("This hub does not ask sessions for their port (%s).", status)
                return ""
            trouble = f"The hub could not be told that this session is ready, trying again: it says {status}"
        log.warning("%s", trouble)
        await asyncio.sleep(wait * random.uniform(0.5, 1.0))
        wait = min(wait * 2, LONGEST_WAIT)


def _certificate(answer: str) -> str:
    try:
        return str(json.loads(answer)["certificate"])
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("The hub gave no certificate, and this session is to serve TLS.") from error
