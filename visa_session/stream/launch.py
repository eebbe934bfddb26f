"""Run selkies on the session's display as a camera alone: no hands, no ears, no files.

A program of its own, run with `python -I -m`, so that nothing of the home directory is in it. What follows
on the command line is selkies' own. Standard input is a socket: there it says that it is closed to others of
the account, and only then comes one line of JSON, `{"token": text, "memory": bytes, "parent": pid}`. The
token is selkies' master token: whoever holds it says who may watch. Each line that follows is a number: so
many pictures a second at most. It ends with its parent.

selkies wants to be a remote desktop by itself. What of it would type, move the mouse, read the clipboard,
resize the screen or set its density is not there at all in this process, whatever a client sends: VNC does
all that, by the roles of this session. Its settings turn the rest off (`settings.py`).
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import types

from ..secret import hide_process
from ..supervise import end_with

#: What it says once nobody of the account may look into it.
HIDDEN = b"\n"
#: How much later than the session's other programs it has its turn, and how many descriptors.
NICE, MOST_OPEN = 5, 256


class NoHands:
    """Instead of selkies' part for keyboard, mouse, clipboard and cursor: does nothing."""

    def __init__(self, *args, **others):
        pass


def take_secrets() -> tuple[dict, int]:
    """What comes on standard input, once this is closed to others of the account; where more will come."""
    hide_process()
    os.write(0, HIDDEN)
    told = json.loads(sys.stdin.buffer.readline())
    channel = os.dup(0)
    os.set_blocking(channel, False)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    end_with(told["parent"])
    return told, channel


def hold_back(memory: int) -> None:
    """Bound this process: memory in bytes, open files, no core file, its turn after the person's programs."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_OPEN, MOST_OPEN))
    os.nice(NICE)


def leave_the_screen_alone(display_utils, more) -> None:
    """Take out what would change the X display: sizes, monitors, density, cursors, window manager."""

    async def nothing(*args, **others):
        return False

    async def same_density(configured, locked):
        return configured

    for name in ("set_dpi", "set_cursor_size", "resize_display", "grow_framebuffer", "ensure_mode"):
        setattr(display_utils, name, nothing)
    for name in ("apply_output_layout", "retire_displays", "has_pluggable_outputs"):
        setattr(display_utils, name, nothing)
    for name in ("replace_selkies_monitors", "follow_display_moves"):
        setattr(more, name, nothing)
    display_utils.restore_dpi = same_density


def main() -> None:
    """Serve until told to end."""
    told, channel = take_secrets()
    hold_back(told["memory"])
    # No sound, which selkies can do without; images leave it out.
    sys.modules["pcmflux"] = None
    # WebRTC would open ports of its own; it is chosen nowhere, and takes as long to import as all the rest.
    absent = types.ModuleType("selkies.webrtc_mode")
    absent.WebRTCService = lambda server: types.SimpleNamespace(register_routes=lambda *args: None)
    sys.modules[absent.__name__] = absent
    # Read while selkies' settings are imported, and gone from there before anything else is.
    os.environ["SELKIES_MASTER_TOKEN"] = told["token"]
    import selkies.settings

    del os.environ["SELKIES_MASTER_TOKEN"]
    import selkies.display_utils
    import selkies.display_utils_xrandr

    leave_the_screen_alone(selkies.display_utils, selkies.display_utils_xrandr)
    import selkies.websockets_mode as websockets

    from .screen import SELDOM, Screen

    websockets.InputHandler = NoHands

    class Camera(websockets.DataStreamingServer):
        """selkies' server of pictures, for clients that all come by one socket and only watch."""

        def initialize(self):
            super().initialize()
            self.input_handler = None
            # By address, which all clients of a unix socket share.
            self.RECONNECT_DEBOUNCE_MS = 0
            loop = asyncio.get_running_loop()
            self.pace, self.often = float(self.app.framerate), True
            loop.add_reader(channel, self.heard, loop)
            self.screen = Screen(loop, self.look)

        async def _start_capture_for_display(self, *args, **others):
            started = await super()._start_capture_for_display(*args, **others)
            self.screen.moved()  # it begins at its full rate
            return started

        def heard(self, loop):
            """The session's server says how many pictures are wanted; the last word counts."""
            lines = os.read(channel, 4096).split()
            if not lines:
                loop.remove_reader(channel)
                return
            self.pace = float(lines[-1])
            self.look(self.often)

        def look(self, often):
            """Look at the screen for each picture, or seldom."""
            self.often = often
            for capture in self.capture_instances.values():
                capture["module"].update_framerate(self.pace if often else SELDOM)

    websockets.DataStreamingServer = Camera
    import selkies.__main__ as program

    program.main()


if __name__ == "__main__":
    main()
