"""From the owner's "end" to the member's last socket closed, and from "let in" to the first picture."""

from __future__ import annotations

import select
import threading
import time
from dataclasses import dataclass

import httpx

from ..hub import BenchFailed
from .rfb import Client, Gone, Websocket

#: Seconds after which a socket counts as never closed, or a member as never let in.
LOST = 10.0


@dataclass(frozen=True)
class Scene:
    """One owner's session and one member to be, acting by their tokens; `url` ends with a slash."""

    hub_api: str
    url: str
    owner: str
    name: str
    owner_token: str
    member: str
    member_token: str

    def call(self, method: str, path: str, **options) -> httpx.Response:
        """One of the owner's calls about the session's members; raises BenchFailed when it is refused."""
        address = f"{self.hub_api}/visa/sharing/{self.owner}/{self.name}/members{path}"
        headers = {"Authorization": f"token {self.owner_token}"}
        answer = httpx.request(method, address, headers=headers, trust_env=False, timeout=30, **options)
        if not answer.is_success:
            raise BenchFailed(f"{method} members{path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def let_in(self, role: str) -> None:
        self.call("POST", "", json={"name": self.member, "role": role})

    def end(self) -> None:
        self.call("DELETE", f"/{self.member}")

    def made(self, path: str) -> dict:
        """Something the member makes in the session: a terminal, a kernel."""
        headers = {"Authorization": f"token {self.member_token}"}
        answer = httpx.post(self.url + path, headers=headers, trust_env=False, timeout=30)
        if not answer.is_success:
            raise BenchFailed(f"POST {path}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def socket(self, path: str) -> Websocket:
        return Websocket(self.url + path, self.member_token)

    def desktop(self) -> Client:
        return Client(self.socket("desktop/socket"))


def _all_sockets(scene: Scene) -> dict[str, Websocket]:
    """What a collaborator at work has open."""
    terminal, kernel = scene.made("api/terminals")["name"], scene.made("api/kernels")["id"]
    return {
        "desktop": scene.desktop().way,
        "terminal": scene.socket(f"terminals/websocket/{terminal}"),
        "kernel": scene.socket(f"api/kernels/{kernel}/channels"),
        "collaboration": scene.socket("api/collaboration/room/JupyterLab:globalAwareness"),
    }


def _settle(sockets: dict[str, Websocket], seconds: float) -> None:
    """Let what comes at the beginning come."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for ready in select.select([one.socket for one in sockets.values()], [], [], left)[0]:
            if not ready.recv(1 << 20):
                raise BenchFailed("a member's socket was closed for no reason")


def end_seconds(scene: Scene) -> float:
    """Seconds from the owner's call until the last of a collaborator's four sockets is closed."""
    scene.let_in("collaborator")
    sockets = _all_sockets(scene)
    _settle(sockets, 1.0)
    left = {one.socket: name for name, one in sockets.items()}
    begun = last = time.perf_counter()
    ending = threading.Thread(target=scene.end)
    ending.start()
    while left:
        ready, _, _ = select.select(list(left), [], [], LOST)
        if not ready:
            raise BenchFailed(f"still open after {LOST} s: {', '.join(left.values())}")
        for one in ready:
            try:
                closed = not one.recv(1 << 20)
            except OSError:
                closed = True
            if closed:
                last = time.perf_counter()
                left.pop(one)
    ending.join()
    for one in sockets.values():
        one.socket.close()
    return last - begun


def grant_seconds(scene: Scene) -> float:
    """Seconds from the owner's call until the member, refused just before, has the first picture."""
    try:
        scene.desktop()
    except Gone as gone:
        if str(gone) != "403":
            raise BenchFailed(f"who is no member gets {gone}, not 403") from gone
    else:
        raise BenchFailed("who is no member got in")
    begun = time.perf_counter()
    scene.let_in("viewer")
    while True:
        try:
            client = scene.desktop()
            break
        except Gone as gone:
            if time.perf_counter() - begun > LOST:
                raise BenchFailed(f"a new member is still refused: {gone}") from gone
    whole = client.width * client.height
    while not any(update.pixels == whole for update in client.pump()):
        pass
    seconds = time.perf_counter() - begun
    client.close()
    scene.end()
    return seconds
