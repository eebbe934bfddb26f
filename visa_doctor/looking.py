"""Running checks side by side, each with a time of its own: nothing that hangs holds up anything else."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from .finding import CannotLook, Finding, unchecked, worded

if TYPE_CHECKING:
    from .installation import Installation

T = TypeVar("T")
Look = AsyncIterator[Finding]

#: Of the time of a check, what each of several things that it looks at has.
SHARE = 0.9


@dataclass(frozen=True)
class Check:
    """`about` says in a few words what is looked at."""

    name: str
    about: str
    look: Callable[[Installation], Look]


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` gives, from a thread of its own that nobody waits for at the end: it may hang for ever."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await future


async def collect(look: Look, seconds: float, about: str = "") -> list[Finding]:
    """All findings of a look; what it has found by the end of its time, or by its failure, stays."""
    found: list[Finding] = []
    try:
        async with asyncio.timeout(seconds):
            async for finding in look:
                found.append(finding)
    except TimeoutError:
        found.append(unchecked(f"There was no answer within {seconds:g} seconds.", about=about))
    except CannotLook as error:
        found.append(unchecked(f"{worded(error)}.", about=about, because=error.because))
    except Exception as error:
        kind = type(error).__name__
        found.append(unchecked(f"The check failed by itself: {kind}: {worded(error)}.", about=about))
    return found


async def each_of(looks: Mapping[str, Look], seconds: float) -> Look:
    """The findings of several looks, side by side, by what each is about."""
    tasks = [asyncio.create_task(collect(look, seconds * SHARE, about)) for about, look in looks.items()]
    for task in tasks:
        for finding in await task:
            yield finding


async def examine(
    here: Installation, checks: Iterable[Check], told: Callable[[str, list[Finding]], None]
) -> None:
    """Run checks side by side; `told` gets the name and the findings of each as soon as it is over."""

    async def one(check: Check) -> None:
        found = await collect(check.look(here), here.limit)
        told(check.name, [replace(finding, check=check.name) for finding in found])

    await asyncio.gather(*map(one, checks))
