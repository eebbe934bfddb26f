"""The desktop's stream, with a VNC client written by hand: who sees what, and whose hands move what."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from tornado.httpclient import HTTPClientError

from visa_session import rfb

from . import display
from .hub.session_spawner import UID
from .hubside import later
from .viewer import DESKTOP_SIZE, EXTENDED_CLIPBOARD, EXTENDED_DESKTOP_SIZE, RAW, Viewer


@pytest.fixture
def desk(shared_session, site):
    """A session with a viewer `vera` and a collaborator `carl`."""
    people = {name: site.person(name) for name in ("vera", "carl", "stranger", "boss")}
    site.share("alice", shared_session.name, "vera")
    site.share("alice", shared_session.name, "carl", control=True)
    shared_session.people = people
    return shared_session


async def becomes(value, wanted, seconds=5.0):
    """Whether `value()` becomes what is wanted in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while (found := await later(value)) != wanted:
        assert asyncio.get_running_loop().time() < deadline, f"{found!r} did not become {wanted!r}"
        await asyncio.sleep(0.05)


async def test_the_owner_sees_and_controls(desk):
    owner = await Viewer.open(desk)
    assert (owner.width, owner.height) == (1920, 1080)
    assert await owner.sees()
    owner.point(432, 210)
    await becomes(lambda: display.pointer(desk), (432, 210))
    keys = await later(display.Keys, desk)
    try:
        for letter in "visa":
            owner.key(letter)
        await becomes(keys.letters, "visa")
    finally:
        keys.close()
    owner.close()


async def test_a_viewer_sees_and_moves_nothing(desk):
    """Not by the page's good will: these are a full client's messages."""
    owner = await Viewer.open(desk)
    owner.point(700, 500)
    await becomes(lambda: display.pointer(desk), (700, 500))
    viewer = await Viewer.open(desk, desk.people["vera"], shared=0)
    assert await viewer.sees(EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE)
    before = await later(display.size, desk)
    keys = await later(display.Keys, desk)
    try:
        viewer.point(111, 222, 1)
        viewer.point(111, 222)
        viewer.key("x")
        viewer.resize(800, 600)
        await asyncio.sleep(1)
        assert await later(display.pointer, desk) == (700, 500)
        assert keys.letters() == ""
        assert await later(display.size, desk) == before
        # And it pushed nobody out by asking for the screen to itself.
        owner.key("o")
        await becomes(keys.letters, "o")
    finally:
        keys.close()
    owner.close()
    viewer.close()


def clipboard(desk, text: str | None = None) -> str:
    """Read the desktop's clipboard, or put a text into it, from inside."""
    command = ["xclip", "-selection", "clipboard", "-o" if text is None else "-i"]
    env = display.x_environment(desk) | {"PATH": "/usr/bin:/bin", "HOME": "/"}
    if text is not None:
        subprocess.run(command, env=env, user=UID, input=text.encode(), check=True)
        return text
    return subprocess.run(command, env=env, user=UID, capture_output=True).stdout.decode(errors="replace")


async def test_a_viewers_clipboard_is_not_the_desktops(desk):
    """In neither direction, by neither of the protocol's two ways; a collaborator's is."""
    await later(clipboard, desk, "secret one")
    for name, shared in (("vera", False), ("carl", True)):
        texts = [f"from {name}, plain", f"from {name}, extended"]
        for number, encodings in enumerate([[RAW], [RAW, EXTENDED_CLIPBOARD]]):
            member = await Viewer.open(desk, desk.people[name], shared=0)
            member.encodings(*encodings)
            await asyncio.sleep(0.3)
            # Until the desktop's clipboard is asked for by nobody, it stays where it is.
            await later(clipboard, desk, f"secret of {number}")
            told = await member.told_without_frames()
            kinds = [told[:1]] if told else []
            if not shared:
                assert told == b"", (encodings, told)
            else:
                assert kinds == [b"\x03"], "the clipboard comes"
            (member.cut if number == 0 else member.cut_extended)(texts[number].encode())
            if shared and number == 0:
                await becomes(lambda text=texts[number]: clipboard(desk) == text, True)
            elif not shared:
                await asyncio.sleep(0.7)
                assert await later(clipboard, desk) == f"secret of {number}"
            member.close()


async def test_whatever_a_viewer_writes_by_hand_moves_nothing(desk):
    """Every message of the protocol that could, in one row; and it is still served pictures."""
    owner = await Viewer.open(desk)
    owner.point(500, 400)
    await becomes(lambda: display.pointer(desk), (500, 400))
    size = await later(display.size, desk)
    viewer = await Viewer.open(desk, desk.people["vera"], shared=0)
    keys = await later(display.Keys, desk)
    try:
        viewer.encodings(RAW, EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE, EXTENDED_CLIPBOARD, -258, -316, -312, -313)
        for _ in range(3):
            viewer.key("x")
            viewer.write(struct.pack(">BBHII", 255, 0, 1, ord("x"), 45))  # QEMU's key, down
            viewer.write(struct.pack(">BBHII", 255, 0, 0, ord("x"), 45))
            viewer.point(9, 9, 1)
            viewer.point(9, 9)
            viewer.resize(800, 600)
            viewer.cut(b"cut")
            viewer.write(struct.pack(">BxxxIB", 248, 1 << 31 | 1, 0))  # a fence that asks for an answer
            viewer.write(struct.pack(">BBHHHH", 150, 0, 0, 0, 10, 10))
            viewer.write(struct.pack(">BBBB", 250, 0, 1, 2))  # xvp: shut the machine down
        assert await viewer.sees(EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE)
        assert await later(display.pointer, desk) == (500, 400)
        assert await later(display.size, desk) == size
        assert keys.letters() == ""
        owner.key("o")
        await becomes(keys.letters, "o")
    finally:
        keys.close()
    owner.close()
    viewer.close()


async def test_the_vnc_server_itself_ignores_who_only_watches(desk):
    """Past the relay, with the password to watch: were the relay wrong, it would still hold."""
    owner = await Viewer.open(desk)
    owner.point(640, 360)
    await becomes(lambda: display.pointer(desk), (640, 360))
    private = Path((await later(display.x_environment, desk))["XAUTHORITY"]).parent
    passwords = (private / "passwd").read_bytes()
    key = bytes(int(f"{byte:08b}"[::-1], 2) for byte in rfb.FILE_KEY)
    opened = Cipher(TripleDES(key * 3), modes.ECB()).decryptor()
    watch = opened.update(passwords)[8:16].rstrip(b"\0").decode()
    reader, writer = await asyncio.open_unix_connection(str(private / "vnc"))
    await reader.readexactly(12)
    writer.write(rfb.VERSION)
    await reader.readexactly((await reader.readexactly(1))[0])
    writer.write(bytes([rfb.SECURITY_VNC]))
    writer.write(rfb.answer_challenge(watch, await reader.readexactly(16)))
    assert await reader.readexactly(4) == bytes(4), "the password to watch is good"
    writer.write(b"\0")  # alone, please
    await reader.readexactly(20)
    await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
    writer.write(struct.pack(">BxHi", 2, 1, RAW))
    writer.write(struct.pack(">BBHH", 5, 0, 7, 7) + struct.pack(">BBxxI", 4, 1, ord("x")))
    writer.write(struct.pack(">BxxxI", 6, 4) + b"mine")
    await later(clipboard, desk, "not for watchers")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 1)
    assert await later(display.pointer, desk) == (640, 360)
    assert await later(clipboard, desk) == "not for watchers"
    owner.point(641, 361)
    await becomes(lambda: display.pointer(desk), (641, 361))
    writer.close()
    owner.close()


async def test_a_collaborator_controls(desk):
    carl = await Viewer.open(desk, desk.people["carl"])
    carl.point(321, 123)
    await becomes(lambda: display.pointer(desk), (321, 123))
    carl.close()


@pytest.mark.parametrize("who", ["stranger", "boss"])
async def test_nobody_else_gets_in(desk, who):
    """Not even an administrator whom the hub lets into every server."""
    with pytest.raises(HTTPClientError) as refused:
        await Viewer.connect(desk, desk.people[who])
    assert refused.value.code == 403


async def test_a_foreign_page_gets_no_stream(desk):
    """By cookie, as a browser would send it: with a token the check is waived, since no page can send one."""
    login = await later(httpx.get, f"{desk.url}visa/session?token={desk.token}")
    cookie = "; ".join(f"{name}={value}" for name, value in login.cookies.items())
    for origin in ("http://evil.example", desk.site.url + ".evil.example", "null"):
        with pytest.raises(HTTPClientError) as refused:
            await Viewer.connect(desk, token="", Cookie=cookie, Origin=origin)
        assert refused.value.code == 403, origin
    ours = await Viewer.connect(desk, token="", Cookie=cookie, Origin=desk.site.url)
    await ours.handshake()
    ours.close()


async def test_asking_for_a_size_too_early_is_dropped(desk):
    """TigerVNC 1.12 crashes over it: the server must live, and take the request when it is in order."""
    owner = await Viewer.open(desk)
    server = await later(display.vnc_server, desk)
    owner.resize(1024, 768)
    assert await owner.sees(EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE)
    assert psutil.pid_exists(server.pid)
    owner.resize(1200, 700)
    await becomes(lambda: display.size(desk), "1200x700")
    owner.resize(1920, 1080)
    await becomes(lambda: display.size(desk), "1920x1080")
    owner.close()


@pytest.mark.parametrize(
    "message",
    [b"\x63garbage", b"\xff\x01" + bytes(10), b"\x06\0\0\0\x7f\xff\xff\xff"],
    ids=["type", "qemu", "huge"],
)
async def test_what_is_not_understood_closes_the_stream(desk, message):
    owner = await Viewer.open(desk)
    owner.write(message)
    how = await owner.closed()
    assert how.code == 4400
    assert "not understood" in how.reason


async def test_the_screen_can_only_be_reached_through_the_relay(desk):
    """No TCP port, no way round the cookie."""
    (await Viewer.open(desk)).close()
    server = await later(display.vnc_server, desk)
    listening = [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == []
    env = await later(display.x_environment, desk)
    assert "SecurityTypes" in " ".join(server.cmdline())
    assert env["XAUTHORITY"]
    with pytest.raises(AssertionError, match="No protocol|Authorization|unable to open"):
        await later(run_without_cookie, desk, env)


def run_without_cookie(session, env):
    env = {"DISPLAY": env["DISPLAY"], "XAUTHORITY": "/nonexistent", "PATH": "/usr/bin"}
    done = subprocess.run(["xdpyinfo"], env=env, user=UID, group=UID, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_a_display_that_somebody_pretends_to_be_is_not_used(new_session):
    """Abstract sockets are shared by all containers of a network: X's clients would go to the impostor."""
    impostors = []
    for number in range(3):
        impostor = socket.socket(socket.AF_UNIX)
        try:
            impostor.bind(f"\0/tmp/.X11-unix/X{number}")
        except OSError:
            continue  # somebody else's display, which does as well
        impostor.listen()
        impostors.append(impostor)
    try:
        session = new_session()
        owner = await Viewer.open(session)
        env = await later(display.x_environment, session)
        assert int(env["DISPLAY"].removeprefix(":")) > 2
        assert await later(display.size, session) == "1920x1080"
        owner.close()
    finally:
        for impostor in impostors:
            impostor.close()
