"""What runs to its end without anybody waiting for it; a failure is in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class Unattended:
    """Mixed into what all sessions of a backend share, which has a `log`."""

    #: What the log says of a task that failed.
    task_failed = "A task failed"
    #: Failures that whoever began the task has been told of already.
    told: tuple[type[Exception], ...] = ()

    @property
    def _tasks(self) -> set[asyncio.Task]:
        return self.__dict__.setdefault("_unattended", set())

    def keep(self, coroutine: Coroutine) -> asyncio.Task:
        """Run something to its end, whoever stops waiting for it."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() and not isinstance(task.exception(), self.told):
            self.log.error(self.task_failed, exc_info=task.exception())

    async def end_tasks(self) -> None:
        """Cancel what still runs, and wait for its end."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
