"""The profile's applications from JupyterLab: listed as tiles, started on the session's desktop."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import threading
from pathlib import Path
from shutil import which
from urllib.parse import quote

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join

from .contract import SessionInfo
from .desktop import Desktop, DesktopFailed
from .desktopentry import Entry, NotThere, find_application, find_applications
from .icontheme import KINDS, find_icon

#: What stands for an application that brings no icon.
PLAIN_ICON = Path(__file__).parent / "icons" / "application.svg"
#: An SVG is a document: shown by itself, it may do nothing but show the pictures that it holds.
ICON_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
#: Seconds in which an end with an error counts as a failed start: a Python program may import that long.
WATCHED = 5.0
#: What colours a terminal's letters and moves its cursor.
STEERING = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: Bytes of an application's output that are kept, and lines of it that are shown.
KEPT, SHOWN = 4000, 8


class StartFailed(Exception):
    """An application did not start, in one sentence; `lines` are its own last words."""

    def __init__(self, words: str, lines: list[str] | None = None):
        super().__init__(words)
        self.words, self.lines = words, lines or []


def find(info: SessionInfo, name: str) -> Entry:
    """One of the session's applications; raises NotThere."""
    if name not in info.applications:
        raise NotThere("This session's profile has no such application.")
    return find_application(name)


def command_of(entry: Entry) -> list[str]:
    """What to execute; raises StartFailed where it needs a terminal and there is none."""
    if not entry.terminal:
        return list(entry.command)
    if which("xfce4-terminal") is None:
        raise StartFailed(f"{entry.title} runs in a terminal, and this session's image has none.")
    # A process of its own, so that its end is this application's, and one that stays to be read.
    own = ["xfce4-terminal", "--disable-server", "--hold", f"--title={entry.title}"]
    return [*own, "--execute", *entry.command]


class Started:
    """A running application, and the end of what it prints. Its output goes to nobody's log."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.output = process, b""
        self._thread = threading.Thread(target=self._read, name="application", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self.process.stdout as output:
            while some := os.read(output.fileno(), KEPT):
                self.output = (self.output + some)[-KEPT:]
        self.process.wait()

    def ended(self, seconds: float) -> int | None:
        """Its exit code when it ends within this time; None for one that runs on."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._thread.join(0.5)  # its last words are read; a child of its may hold the pipe for longer
        return code

    def last_lines(self) -> list[str]:
        """Its last words, without what steers a terminal."""
        lines = STEERING.sub(b"", self.output).decode(errors="replace").splitlines()
        clean = ("".join(letter for letter in line if letter.isprintable()).strip() for line in lines)
        return [line for line in clean if line][-SHOWN:]


def start(entry: Entry, desktop: Desktop) -> None:
    """Start an application on the desktop, one more where it runs already; waits to see that it stays.

    Raises DesktopFailed or StartFailed. It ends with the session, like all that runs in it.
    """
    environment = desktop.environment()
    command = command_of(entry)
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=entry.directory or os.environ["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        missing = error.filename or command[0]
        raise StartFailed(f"{entry.title} could not be started: {missing}: {error.strerror}.") from error
    started = Started(process)
    code = started.ended(WATCHED)
    if code:
        how = f"exit code {code}" if code > 0 else f"signal {-code}"
        raise StartFailed(f"{entry.title} ended at once with an error ({how}).", started.last_lines())


def refuse(handler: APIHandler, status: int, words: str, lines: list[str] | None = None) -> None:
    """Answer with a sentence. By hand, since an error's text is logged, and doubles each percent sign."""
    handler.set_status(status)
    handler.finish({"message": words} | ({"lines": lines} if lines else {}))


class ApplicationsCall(APIHandler):
    """`GET /visa/applications`: what the launcher shows of the session's applications."""

    def initialize(self, info: SessionInfo):
        """Called by Tornado for each request."""
        self.info = info

    async def get(self):
        """Name, title, comment and icon of each that is installed, in the order of the profile."""
        found = await asyncio.to_thread(find_applications, self.info.applications)
        self.set_header("Cache-Control", "no-store")
        told = []
        for name, entry in found.items():
            icon = url_path_join(self.base_url, "visa/applications", quote(name, safe=""), "icon")
            told.append({"name": name, "title": entry.title, "comment": entry.comment, "icon": icon})
        self.finish({"applications": told})


class ApplicationIcon(APIHandler):
    """`GET /visa/applications/NAME/icon`: its icon from the image, or a plain one."""

    def initialize(self, info: SessionInfo):
        """Called by Tornado for each request."""
        self.info = info

    async def get(self, name: str):
        """The picture; 404 for what is no application of this session."""
        try:
            path, content = await asyncio.to_thread(self._read, name)
        except NotThere as reason:
            return refuse(self, 404, str(reason))
        self.set_header("Content-Security-Policy", ICON_POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "private, max-age=3600")
        self.finish(content, set_content_type=KINDS[path.suffix])

    def _read(self, name: str) -> tuple[Path, bytes]:
        path = find_icon(find(self.info, name).icon) or PLAIN_ICON
        return path, path.read_bytes()


class ApplicationCall(APIHandler):
    """`POST /visa/applications/NAME`: start it on the desktop."""

    def initialize(self, info: SessionInfo, desktop: Desktop):
        """Called by Tornado for each request."""
        self.info, self.desktop = info, desktop

    async def post(self, name: str):
        """204 once it runs; 404 where it is not there, 503 where it does not start, each in words."""
        try:
            entry = await asyncio.to_thread(find, self.info, name)
            await asyncio.to_thread(start, entry, self.desktop)
        except NotThere as reason:
            return refuse(self, 404, str(reason))
        except DesktopFailed as reason:
            return refuse(self, 503, str(reason))
        except StartFailed as reason:
            return refuse(self, 503, reason.words, reason.lines)
        self.set_status(204)
        self.finish()
