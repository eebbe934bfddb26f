"""A command that hangs after it has said much holds nobody up: not one that gave it up, nor one who stops."""

import asyncio
import gc
import os
import time
from contextlib import suppress

import psutil
import pytest

from visa_spawner.backends.slurm.clients import exchange
from visa_spawner.backends.slurm.clients.base import SlurmSilent
from visa_spawner.backends.slurm.clients.commands import CommandsClient
from visa_spawner.backends.slurm.clients.exchange import give_up, read_all

#: More than a pipe and what Python reads ahead hold; with `seconds`, it goes on for so long.
MUCH = """
import os, time
for _ in range(64):
    os.write(1, b"x" * 65536)
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    os.write(1, b"x" * 65536)
    time.sleep({pause})
"""


@pytest.fixture(autouse=True)
def let_go():
    """What a loop leaves of its processes goes now: Python 3.11 may break off where it goes amid a parse."""
    yield
    gc.collect()


async def says_much(seconds, pause=0.001):
    return await asyncio.create_subprocess_exec(
        *("/usr/bin/python3", "-S", "-c", MUCH.format(seconds=seconds, pause=pause)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def is_over(process):
    async with asyncio.timeout(20):
        while psutil.pid_exists(process.pid) and process.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_all_of_it_is_read():
    printed, said = await read_all(await says_much(0), 20)
    assert (len(printed), said) == (64 * 65536, b"")


async def test_one_that_takes_too_long_is_killed_and_not_waited_for():
    process = await says_much(600)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        await read_all(process, 1)
    assert time.monotonic() - begun < 3
    await is_over(process)


async def test_whoever_stops_asking_is_not_held_up():
    """Also while there is more to read than Python reads ahead, as after a loop was held up for a moment."""
    for _ in range(12):
        process = await says_much(600, pause=0)
        asking = asyncio.create_task(read_all(process, 600))
        await asyncio.sleep(0.1)
        time.sleep(0.05)  # noqa: ASYNC251 - holds the loop up: that is what is tried
        asking.cancel()
        async with asyncio.timeout(3):
            with pytest.raises(asyncio.CancelledError):
                await asking
        await is_over(process)


async def test_one_that_nobody_reads_from_is_given_up_at_once():
    process = await says_much(600)
    await asyncio.sleep(1)  # it has said what fits, and waits
    give_up(process)
    await is_over(process)


def answers_held():
    """What this process still holds of the answers of commands."""
    held = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # one that listing them took
            held.append(os.readlink(f"/proc/self/fd/{number}"))
    return [name for name in held if "memfd:" in name]


async def test_an_answer_is_whole_and_let_go_whatever_became_of_it():
    say, hang = MUCH.format(seconds=0, pause=0), MUCH.format(seconds=600, pause=0.001)
    code, printed, said = await CommandsClient("/usr/bin", "", limit=20)._run("python3", "-S", "-c", say)
    assert (code, len(printed), said) == (0, 64 * 65536, "")
    hasty = CommandsClient("/usr/bin", "", limit=1)
    with pytest.raises(SlurmSilent, match="no answer within 1 seconds"):
        await hasty._run("python3", "-S", "-c", hang)
    with pytest.raises(SlurmSilent, match="cannot be run"):
        await hasty._run("no-such-command")
    assert answers_held() == []
    async with asyncio.timeout(20):
        await asyncio.gather(*exchange._given_up, return_exceptions=True)
