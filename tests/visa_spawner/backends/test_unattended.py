"""What nobody waits for: it runs to its end, and a failure is said unless somebody was told."""

import asyncio
import logging

import pytest

from visa_spawner.backends.unattended import Unattended


class Told(Exception):
    """What whoever began the task has heard of."""


class Some(Unattended):
    task_failed, told, log = "It failed", (Told,), logging.getLogger("unattended")


@pytest.mark.parametrize(("error", "said"), [(RuntimeError("no"), True), (Told(), False), (None, False)])
async def test_a_failure_is_in_the_log_unless_it_was_told(caplog, error, said):
    async def task():
        if error:
            raise error

    some = Some()
    await asyncio.wait([some.keep(task())])
    await asyncio.sleep(0)
    assert ("It failed" in caplog.text) is said
    assert not some._tasks


async def test_at_the_end_none_is_left(caplog):
    some = Some()
    tasks = [some.keep(asyncio.Event().wait()) for _ in range(3)]
    await some.end_tasks()
    assert all(task.cancelled() for task in tasks)
    assert not caplog.text
