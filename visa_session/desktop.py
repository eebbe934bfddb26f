"""The session's desktop: a VNC server on a unix socket, and Xfce on its screen.

Nothing of it runs until somebody asks for it. It is run from a thread of its own, so that it can come up
while the server is still being imported, and it is started again when it is asked for after it ended.
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from shutil import which

from . import rfb, xfce
from .contract import SessionInfo
from .keyboards import layout_and_variant
from .screen import density_of, size_of

log = logging.getLogger("visa")

#: Seconds the VNC server has to come up before the attempt is given up.
START_LIMIT = 20.0
#: Seconds that what is told to end has to do so.
END_LIMIT = 1.0
#: The wallpaper's colour.
BACKGROUND = "#15283b"

OFF, STARTING, RUNNING, FAILED = "off", "starting", "running", "failed"


class DesktopFailed(Exception):
    """The desktop could not start; the text is one sentence for the person who waits for it."""


def xauthority(cookie: bytes) -> bytes:
    """An Xauthority file that holds one cookie for any display: its number is known only later."""
    entry = (65535).to_bytes(2, "big")  # FamilyWild
    for field in (b"", b"", b"MIT-MAGIC-COOKIE-1", cookie):
        entry += len(field).to_bytes(2, "big") + field
    return entry


class Desktop:
    """One session's desktop, off at first.

    `state` is off, starting, running or failed; `words` says in a sentence why it failed or ended.
    """

    def __init__(self, info: SessionInfo, runtime: Path):
        self.info = info
        self.directory = runtime / "desktop"
        self.socket = self.directory / "vnc"
        self.keyboard = info.keyboard
        self.state, self.words = OFF, ""
        self.passwords: dict[bool, str] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._processes: list[subprocess.Popen] = []
        self._stopping = False
        #: What Xfce was started with, beside the server's own environment.
        self._found: dict[str, str] = {}
        #: Set while the desktop is not starting.
        self.settled = threading.Event()
        self.settled.set()

    def start(self) -> None:
        """Start the desktop unless it runs or is starting; returns at once."""
        with self._lock:
            if self.state in (STARTING, RUNNING) or self._stopping:
                return
            self.state, self.words = STARTING, ""
            self.settled.clear()
            self._thread = threading.Thread(target=self._run, name="desktop", daemon=True)
            self._thread.start()

    def show_data(self) -> None:
        """Have the icons of a desktop that is up follow data that came or went."""
        xfce.follow_experiments(self.info, self.directory / "icons")

    def stop(self) -> None:
        """End the desktop for good, and wait until it has ended."""
        with self._lock:
            self._stopping = True
        self._end_processes()
        if self._thread is not None:
            self._thread.join(2 * END_LIMIT)

    def environment(self) -> dict[str, str]:
        """Start the desktop if need be and wait for it: the environment of a program that appears on it.

        The same as of one that is started by its icon. Raises DesktopFailed. Not for the event loop.
        """
        self.start()
        self.settled.wait(START_LIMIT)
        deadline = time.monotonic() + START_LIMIT
        while self.state == RUNNING and time.monotonic() < deadline:
            # Xfce writes the bus's address once it has one; a window that comes before the window manager
            # would lie under the panel.
            if (bus := self._bus()) and self._has_manager():
                return os.environ | self._found | {"DBUS_SESSION_BUS_ADDRESS": bus}
            time.sleep(0.1)
        raise DesktopFailed(self.words or "The desktop did not come up.")

    def _bus(self) -> str:
        """The address of the desktop's message bus; empty until it is known."""
        try:
            return (self.directory / "bus").read_text()
        except OSError:
            return ""

    @staticmethod
    def _has_manager() -> bool:
        command = ["xprop", "-root", "_NET_SUPPORTING_WM_CHECK"]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=5)
        except FileNotFoundError:
            return True  # nobody to ask
        except subprocess.TimeoutExpired:
            return False
        return b"window id" in done.stdout

    def password(self, control: bool) -> str:
        """The running VNC server's password: for mouse and keyboard, or to watch only."""
        return self.passwords[control]

    def renew_passwords(self) -> None:
        """New passwords for whoever connects from now on: the VNC server reads its file each time."""
        with self._lock:
            if self.passwords:
                self._make_passwords()

    def _make_passwords(self) -> None:
        passwords = {True: rfb.new_password(), False: rfb.new_password()}
        self._write("passwd", rfb.password_file(passwords[True], passwords[False]))
        self.passwords = passwords

    def set_keyboard(self, keyboard: str) -> None:
        """Switch the layout, now or when the desktop starts.

        Raises ValueError for a layout that is not offered, DesktopFailed when X does not take it.
        """
        layout_and_variant(keyboard)
        if self.state == RUNNING:
            self._apply_keyboard(keyboard)
        self.keyboard = keyboard

    def _run(self) -> None:
        try:
            server = self._start_server()
            self.state = RUNNING  # there is a screen to look at: Xfce may come up before people's eyes
            self.settled.set()
            session = self._start_session()
        except (DesktopFailed, OSError) as error:
            log.error("The desktop did not start: %s", error)
            self._ended(f"The desktop could not start: {error}", FAILED)
            return
        while server.poll() is None and session.poll() is None:
            try:
                server.wait(0.3)
            except subprocess.TimeoutExpired:
                continue
        self.settled.clear()
        self.state = STARTING  # whoever asks waits until all of it has ended: nothing is begun on this screen
        which_one = "VNC server" if session.poll() is None else "desktop session"
        if not self._stopping:
            log.warning("The %s ended; its last words:\n%s", which_one, "\n".join(self.last_lines()))
        self._ended(f"The {which_one} has ended.", OFF)

    def _ended(self, words: str, state: str) -> None:
        self._end_processes()
        for name in ("DISPLAY", "XAUTHORITY"):
            os.environ.pop(name, None)
        with self._lock:
            self.state, self.words = state, words
            self.settled.set()

    def _start_server(self) -> subprocess.Popen:
        program = which("Xtigervnc") or which("Xvnc")
        if program is None:
            raise DesktopFailed("this environment has no VNC server.")
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        with self._lock:
            self._make_passwords()
        self._write("xauthority", xauthority(secrets.token_bytes(16)))
        self._write("log", b"")
        width, height = size_of(self.info.screen)
        dots = density_of(self.info.screen)
        reading, writing = os.pipe()
        command = [program, "-displayfd", str(writing), "-rfbunixpath", str(self.socket), "-rfbport", "-1"]
        command += ["-SecurityTypes", "VncAuth", "-rfbauth", str(self.directory / "passwd")]
        # Not `-nolisten local`: X's clients try the abstract socket first, which a whole network namespace
        # shares. Whoever listens there has the display's number for certain; who does not can be faked.
        command += ["-auth", str(self.directory / "xauthority"), "-nolisten", "tcp"]
        command += [
            "-AlwaysShared",
            "-DisconnectClients=0",
            "-UseBlacklist=0",
            "-noreset",
            "-AllowOverride",
            "",
        ]
        command += ["-geometry", f"{width}x{height}", "-depth", "24", "-dpi", str(dots)]
        # Nobody sits there whom a screen saver could tell from somebody who thinks.
        command += ["-desktop", "VISA", "-s", "0"]
        try:
            server = self._launch(command, pass_fds=(writing,))
        finally:
            os.close(writing)
        display = self._read_display(reading)
        os.environ["DISPLAY"] = f":{display}"
        os.environ["XAUTHORITY"] = str(self.directory / "xauthority")
        self._paint_screen()
        self._set_density(dots)
        return server

    def _paint_screen(self) -> None:
        """Give the bare screen the desktop's colour, until Xfce paints it: no black first frame."""
        program = which("xsetroot")
        if program is not None:
            command = [program, "-solid", BACKGROUND, "-cursor_name", "left_ptr"]
            subprocess.run(command, check=False, capture_output=True)

    def _set_density(self, dots: int) -> None:
        """Say how large letters are before anything is drawn: Xfce's settings come while it is."""
        program = which("xrdb")
        if program is not None:
            resource = f"Xft.dpi: {dots}\n".encode()
            subprocess.run([program, "-merge", "-nocpp"], check=False, capture_output=True, input=resource)

    def _read_display(self, reading: int) -> int:
        """The display's number, which the server writes once it is ready; closes the pipe."""
        timer = threading.Timer(START_LIMIT, self._end_processes)
        timer.start()
        try:
            with os.fdopen(reading, "rb") as pipe:
                text = pipe.readline()
        finally:
            timer.cancel()
        if not text.strip().isdigit():
            raise DesktopFailed("the VNC server did not come up.")
        return int(text)

    def _start_session(self) -> subprocess.Popen:
        programs = [which(name) for name in ("dbus-run-session", "xfwm4", "xfce4-panel", "xfdesktop")]
        if None in programs:
            raise DesktopFailed("this environment has no Xfce desktop.")
        (self.directory / "bus").unlink(missing_ok=True)
        self._found = xfce.prepare(self.info, self.directory)
        if self.keyboard != "us":
            try:
                self._apply_keyboard(self.keyboard)
            except (ValueError, DesktopFailed) as error:
                log.warning("The keyboard stays English (US): %s", error)
        command = [programs[0], "--", "/bin/sh", str(xfce.SHIPPED / "session.sh")]
        return self._launch(command, env=os.environ | self._found, cwd=os.environ["HOME"])

    def _apply_keyboard(self, keyboard: str) -> None:
        layout, variant = layout_and_variant(keyboard)
        command = ["setxkbmap", "-layout", layout, "-variant", variant]
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=5)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DesktopFailed(f"the keyboard could not be set: {error}") from error
        if done.returncode != 0:
            raise DesktopFailed(f"the keyboard could not be set: {done.stderr.strip()[:200]}")

    def _launch(self, command: list[str], **others) -> subprocess.Popen:
        with self._lock:
            if self._stopping:
                raise DesktopFailed("the session is ending.")
            with open(self.directory / "log", "ab") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    **others,
                )
            self._processes.append(process)
        return process

    def _end_processes(self) -> None:
        """End Xfce, then the VNC server, each with its process group; the rest goes with the display."""
        with self._lock:
            processes, self._processes = self._processes[::-1], []
        for process in processes:
            for number, seconds in ((signal.SIGTERM, END_LIMIT), (signal.SIGKILL, END_LIMIT)):
                try:
                    os.killpg(process.pid, number)
                except ProcessLookupError:
                    pass
                try:
                    process.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    continue

    def last_lines(self, count: int = 10) -> list[str]:
        """The end of the desktop's own log."""
        try:
            with open(self.directory / "log", errors="replace") as lines:
                return [line.rstrip() for line in deque(lines, count)]
        except OSError:
            return []

    def _write(self, name: str, content: bytes) -> None:
        # Whole at any moment: the VNC server reads its passwords when somebody connects.
        path = self.directory / f"{name}.new"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        path.replace(self.directory / name)
