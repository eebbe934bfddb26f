"""The display as the stream's process heeds it: its size, its end, and whether anything moves."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from selkies.Xlib import X, display, error
from selkies.Xlib.ext import damage

from .settings import EXIT_NO_SCREEN, EXIT_RESIZED

#: Seconds without any change after which a screen counts as still.
STILL_AFTER = 1.0
#: Looks a second at a still screen: each costs a copy of all of it, and none may be long in coming.
SELDOM = 10.0
#: Seconds between two words that something moves.
TELL_AGAIN = 1.0


class Screen:
    """Heeds the display by a connection of its own: its size, its end, and whether anything moves on it.

    selkies looks at the whole screen for each picture, changed or not. While nothing moves it is made to look
    seldom; the first change has it look at its full rate again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, look: Callable[[bool], None]):
        self.loop, self.look = loop, look
        self.display = display.Display()
        root = self.display.screen().root
        root.change_attributes(event_mask=X.StructureNotifyMask)
        self.size = root.get_geometry()
        self.display.damage_query_version()  # it speaks to nobody who has not asked
        self.damage = root.damage_create(damage.DamageReportNonEmpty)
        self.still = loop.call_later(STILL_AFTER, look, False)
        self.display.flush()
        loop.add_reader(self.display.fileno(), self.heard)

    def heard(self) -> None:
        """Something has happened on the display."""
        try:
            while self.display.pending_events():
                event = self.display.next_event()
                if event.type == X.ConfigureNotify and (event.width, event.height) != (
                    self.size.width,
                    self.size.height,
                ):
                    # The picture would be of what was.
                    os._exit(EXIT_RESIZED)
                elif event.type == self.display.extension_event.DamageNotify:
                    self.moved()
        except (error.ConnectionClosedError, OSError):
            os._exit(EXIT_NO_SCREEN)

    def moved(self) -> None:
        """Something moves: look often, and ask to be told again in a while."""
        self.look(True)
        self.still.cancel()
        self.loop.call_later(TELL_AGAIN, self.ask_again)

    def ask_again(self) -> None:
        self.display.damage_subtract(self.damage, X.NONE, X.NONE)
        self.display.flush()
        self.still.cancel()
        self.still = self.loop.call_later(STILL_AFTER, self.look, False)
        self.heard()
