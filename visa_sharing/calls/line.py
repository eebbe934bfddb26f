"""GET visa/line: a session keeps this open and is told who its members are."""

from __future__ import annotations

from tornado.iostream import StreamClosedError

from ..changes import touched
from ..line import Line, lines, pause
from .callers import OwnSessionHandler


class LineHandler(OwnSessionHandler):
    """One open request; ends when the session does."""

    _line: Line | None = None

    async def get(self):
        spawner = self.session()
        spawner_id = spawner.orm_spawner.id
        self._line = line = Line(spawner.kept.token)
        lines().open(spawner_id, line)
        touched([spawner_id])
        self.set_header("Content-Type", "application/x-ndjson")
        self.set_header("X-Accel-Buffering", "no")
        try:
            while table := await line.next(pause(self.sharing.trust_seconds)):
                self.write(table)
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            lines().remove(spawner_id, line)

    def on_connection_close(self):
        if self._line is not None:
            self._line.close()


HANDLERS = [("/api/visa/line", LineHandler)]
