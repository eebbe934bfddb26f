"""The SlurmBackend, writing down when it asked for each job and when it knew the port; runs in our hub."""

from __future__ import annotations

import json
import os
import time

from traitlets import observe

from visa_spawner.backends.slurm import SlurmBackend

#: Names the file: one JSON object a line.
FILE = "VISA_BENCH_TIMES"


class TimedBackend(SlurmBackend):
    """Writes `{"key", "what", "at"}`; `what` is a step of the start, `at` the time of day in seconds."""

    def _tell(self, what: str, **more) -> None:
        line = {"key": self.session_key, "what": what, "at": time.time()} | more
        with open(os.environ[FILE], "a") as file:
            file.write(json.dumps(line) + "\n")

    async def _submit(self, mark: str, wanted: dict, told: dict, token: str) -> None:
        self._tell("asked", wanted=wanted, told=told)
        await super()._submit(mark, wanted, told, token)
        self._tell("submitted")

    async def placed(self) -> None:
        await super().placed()
        self._tell("placed")

    @observe("reported_port")
    def _port_known(self, change) -> None:
        if change.new:
            self._tell("port")
