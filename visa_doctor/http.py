"""One question to a part of the installation over HTTP."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

#: Answers of a web server or a proxy that found nobody behind it.
NOBODY = (502, 503, 504)


class NoAnswer(Exception):
    """Nobody answered; the text is why, as the end of a sentence.

    `late`: not in time. `nameless`: its name is not known.
    """

    def __init__(self, words: str, *, late: bool = False, nameless: bool = False):
        super().__init__(words)
        self.late, self.nameless = late, nameless


@dataclass(frozen=True)
class Answer:
    """`seconds` is how long it took; `date` what time it is there, where it says."""

    status: int
    text: str
    seconds: float
    date: datetime | None

    def json(self) -> Any:
        """Raises ValueError where it is none."""
        return json.loads(self.text)


async def ask(
    url: str, seconds: float, headers: Mapping[str, str] | None = None, *, trust: bool | ssl.SSLContext = True
) -> Answer:
    """GET; no proxy of the environment's, no redirect.

    `trust` False: whatever certificate there is; a context: what that one trusts.

    Raises NoAnswer.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    began = time.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
            session.get(url, headers=headers, allow_redirects=False, ssl=trust) as answer,
        ):
            text = await answer.text(errors="replace")
            return Answer(answer.status, text, time.monotonic() - began, _date(answer.headers.get("Date")))
    except TimeoutError:
        raise NoAnswer(f"no answer within {seconds:g} seconds", late=True) from None
    except aiohttp.ClientConnectorCertificateError as error:
        raise NoAnswer(f"its certificate is not trusted ({error.certificate_error})") from error
    except aiohttp.ClientConnectorDNSError as error:
        raise NoAnswer("its name is not known here", nameless=True) from error
    except aiohttp.ClientConnectorError as error:
        refused = isinstance(error.os_error, ConnectionRefusedError)
        words = "nothing listens there" if refused else (error.os_error.strerror or str(error.os_error))
        raise NoAnswer(words) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(str(error) or type(error).__name__) from error


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found and found.tzinfo is None else found
