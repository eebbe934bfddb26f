"""Calls of the hub's REST API with the session's own token."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping

from aiohttp import ClientError, ClientResponse, ClientTimeout
from jupyterhub.httpclient import fetch

#: Seconds one call may take.
CALL_LIMIT = 10.0
#: Bytes of an answer that are read.
LONGEST_ANSWER = 64 * 1024


class HubFailed(Exception):
    """The hub could not be reached; the text says why."""


class HubCalls:
    """Where the hub is, and what proves to it that this is its session."""

    def __init__(self, token: str, environment: Mapping[str, str] = os.environ):
        self.url = environment["JUPYTERHUB_API_URL"].rstrip("/") + "/"
        self._token = token

    async def open(self, method: str, path: str, body: object = None, **others) -> ClientResponse:
        """The answer, of which nothing but the headers was read; raises HubFailed."""
        headers = {"Authorization": f"token {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
            others["data"] = json.dumps(body)
        try:
            return await fetch(
                self.url + path,
                method=method,
                headers=headers,
                raise_for_status=False,
                allow_redirects=False,
                **others,
            )
        except (OSError, TimeoutError, ClientError) as error:
            raise HubFailed(str(error) or type(error).__name__) from error

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        """Status and text of the hub's answer; raises HubFailed when there is none in time."""
        try:
            async with asyncio.timeout(CALL_LIMIT):
                answer = await self.open(method, path, body, timeout=ClientTimeout(total=CALL_LIMIT))
                async with answer:
                    text = await answer.content.read(LONGEST_ANSWER)
                    return answer.status, text.decode(errors="replace")
        except (OSError, TimeoutError, ClientError) as error:
            raise HubFailed(str(error) or "it does not answer") from error
