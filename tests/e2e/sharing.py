"""Letting people in on the real site: owner's calls, members' raw sockets, what is on the screen."""

from __future__ import annotations

import select
import threading
import time
from dataclasses import dataclass

import httpx
from playwright.async_api import Page

from bench.sharing.rfb import Client, Gone, Websocket
from tests.chromium import PAINTED

from .site import Account, RunningSite, patiently

#: alice, bob and chloe are on its team, ines is its local contact and the instrument's scientist.
EXPERIMENT = "me6200-id19-20250211"

#: Run inside a session: the names of its display, from its window manager.
ON_DISPLAY = r"""
import os, pathlib
for one in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if (one / "comm").read_text().strip() == "xfwm4":
            pairs = (pair.partition("=") for pair in (one / "environ").read_text().split("\0"))
            os.environ.update({name: value for name, _, value in pairs if name in ("DISPLAY", "XAUTHORITY")})
    except OSError:
        pass
"""
#: And where the mouse is on it.
POINTER = r"""
import ctypes
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XDefaultRootWindow.restype = ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(None))
found = [ctypes.c_ulong(), ctypes.c_ulong(), *(ctypes.c_int() for _ in range(4)), ctypes.c_uint()]
x.XQueryPointer(display, ctypes.c_ulong(x.XDefaultRootWindow(display)), *map(ctypes.byref, found))
print(found[2].value, found[3].value)
"""


@dataclass
class Shared:
    """A running session of `owner`'s, and the calls about its members."""

    owner: Account
    name: str

    @property
    def site(self) -> RunningSite:
        return self.owner.site

    @property
    def url(self) -> str:
        host = self.site.url.replace("://", f"://{self.owner.name}.")
        return f"{host}/user/{self.owner.name}/{self.name}/"

    @property
    def sharing_page(self) -> str:
        return f"{portal(self.site)}sessions/{self.name}/sharing"

    def call(self, method: str, path: str = "", **options) -> httpx.Response:
        return self.owner.call(method, f"visa/sharing/{self.owner.name}/{self.name}{path}", **options)

    def let_in(self, who: Account, role: str) -> None:
        answer = self.call("POST", "/members", json={"name": who.name, "role": role})
        assert answer.status_code == 201, answer.text

    def end_all(self) -> None:
        """Nobody but the owner, and no way in that is left from another test."""
        assert self.call("DELETE", "/members").status_code == 204

    def members(self) -> dict[str, str]:
        """Who is let in, as what; without those who are refused for now."""
        told = self.call("GET").raise_for_status().json()["members"]
        return {one["name"]: one["role"] for one in told if not one["refused"]}

    def get(self, who: Account, path: str) -> int:
        """The status that somebody gets inside the session."""
        options = {"headers": who.headers, "trust_env": False, "timeout": 20}
        return httpx.get(self.url + path, **options).status_code

    def socket(self, who: Account, path: str) -> Websocket:
        """A socket of somebody's; raises Gone with the status when refused."""
        return Websocket(self.url + path, who.headers["Authorization"].removeprefix("token "))

    def desktop(self, who: Account) -> Client:
        """Somebody's view of the desktop, past its handshake; raises Gone when refused."""
        return Client(self.socket(who, "desktop/socket"))

    def gets_in(self, who: Account, seconds: float = 10) -> Client:
        """Their view of the desktop as soon as they are let in."""
        for _ in patiently(seconds, 0.02):
            try:
                return self.desktop(who)
            except Gone:
                continue
        raise AssertionError(f"{who.name} was not let in within {seconds} s")

    def stays_out(self, who: Account, *answers: str) -> bool:
        """Whether they are refused, with a 403 or one of these answers; fails with the other that came."""
        for last in (False, False, True):
            try:
                self.desktop(who).close()
            except Gone as gone:
                status = str(gone).split()[0]
                # The proxy's word for a connection that was cut while it was being made.
                if status == "503" and "503" not in answers and not last:
                    continue
                assert status in (answers or ("403",)), f"{who.name} was answered {gone}"
                return True
            raise AssertionError(f"{who.name} was let in")
        return False

    def pointer(self) -> tuple[int, int]:
        """Where the mouse is on the desktop, as the session itself sees it."""
        done = self.owner.run(self.name, f"python3 - <<'END'\n{ON_DISPLAY}{POINTER}\nEND")
        assert done.returncode == 0, done.stderr
        across, down = done.stdout.split()
        return int(across), int(down)

    def show(self, command: str) -> None:
        """Start a program on the desktop, as its owner would."""
        start = f"import subprocess; subprocess.Popen({command!r} + ' > /dev/null 2>&1', shell=True)"
        done = self.owner.run(self.name, f"python3 - <<'END'\n{ON_DISPLAY}{start}\nEND")
        assert done.returncode == 0, done.stderr


def portal(site: RunningSite) -> str:
    return f"{site.url.replace('://', '://visa--service.')}/services/visa/"


def seconds_until_closed(do, *ways: Websocket) -> float:
    """Do something; seconds from then until the other side has closed the last of a member's sockets."""
    left = {way.socket for way in ways}
    begun = time.monotonic()
    doing = threading.Thread(target=do)
    doing.start()
    while left:
        ready = select.select(left, [], [], 20)[0]
        assert ready, "a socket stayed open"
        for one in ready:
            try:
                closed = not one.recv(1 << 20)
            except OSError:
                closed = True
            if closed:
                left.discard(one)
    seconds = time.monotonic() - begun
    doing.join()
    return seconds


def best_of(tries: int, measure, limit: float = 1.0) -> float:
    """The shortest of a few measurements, or the first within the limit: other work on the machine delays."""
    found = []
    for _ in range(tries):
        found.append(measure())
        if found[-1] <= limit:
            break
    return min(found)


async def painted(page: Page) -> Page:
    """Wait for the desktop's first picture on its page."""
    await page.wait_for_function(PAINTED, timeout=40_000)
    return page


def desktop_sockets(page: Page) -> list[dict]:
    """From now on, the page's sockets to the desktop: when each was closed, None while it is open."""
    found: list[dict] = []

    def opened(socket) -> None:
        if socket.url.endswith("desktop/socket"):
            one = {"closed": None}
            found.append(one)
            socket.on("close", lambda _: one.update(closed=time.monotonic()))

    page.on("websocket", opened)
    return found
