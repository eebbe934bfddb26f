"""The session's own token: nobody who works in the session finds it, and found it opens nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import httpx
import pytest

from . import display
from .hub.session_spawner import UID
from .hubside import TREE, later, names, start_session, stop_session, wait_until
from .viewer import Viewer

#: Reads, as the session's own account, whatever the kernel shows of every process.
LOOK = (TREE / "tests/images/inside/find_token.py").read_text()


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "secret", interface="desktop")
    session.get("api/kernels", method="POST", json={"name": "python3"}).raise_for_status()
    session.get("api/terminals", method="POST").raise_for_status()
    wait_until(lambda: "xfwm4" in names(session.processes()), 20)
    yield session
    stop_session(session)


@pytest.fixture(scope="module")
def own(site, session) -> str:
    """The token, as the hub gave it."""
    return site.api("GET", f"tests/token/alice/{session.name}").json()["token"]


def as_its_account(script: str, text: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", script], input=text, user=UID, group=UID, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_no_process_of_the_account_shows_it(session, own):
    found = as_its_account(LOOK, own)
    assert "/proc" not in found, found
    assert int(found.split()[-1]) > 10, "and it did look"
    # Nor does what root may see: neither the children's environment nor the first process's own.
    for process in session.processes():
        assert own not in " ".join(process.environ().values()), process


def test_its_server_can_be_read_by_nobody_of_the_account(session):
    family = sorted(session.processes(), key=lambda process: process.create_time())
    supervisor = family[0]
    for process in (supervisor, supervisor.children()[0]):
        for what in ("environ", "mem", "maps"):
            said = as_its_account(f"open('/proc/{process.pid}/{what}', 'rb').read(1)")
            assert "PermissionError" in said, (process, what)


def test_it_is_in_no_file_of_the_session(session, own):
    runtime = display.x_environment(session)["XAUTHORITY"].rsplit("/desktop", 1)[0]
    home = session.get("visa/session").json()["home"]
    done = subprocess.run(["grep", "-r", "-l", "-F", "-f", "-", runtime, home], input=own, text=True)
    assert done.returncode == 1
    assert own not in session.log


def test_it_opens_nothing_here(session, own):
    """Not in a header, not in the address, not as a cookie."""
    for path in ("visa/session", "api/contents", "lab", "api/kernels", "visa/news", "desktop/"):
        assert httpx.get(session.direct + path, headers={"Authorization": f"token {own}"}).status_code in (
            302,
            403,
        )
        assert httpx.get(session.direct + path, params={"token": own}).status_code in (302, 403)
    assert (
        httpx.post(session.direct + "api/shutdown", headers={"Authorization": f"token {own}"}).status_code
        == 403
    )


def test_it_is_on_no_page(session, own):
    for path in ("lab", "desktop/", "api/me", "api/status", "visa/session", "does-not-exist"):
        assert own not in session.get(path).text, path
    config = session.get("lab").text.split('id="jupyter-config-data" type="application/json">')[1]
    config = json.loads(config.split("</script>")[0])
    assert config["token"] == session.token, "the reader's own"


def test_the_hub_still_hears_that_somebody_works(site, session):
    """The server's own reports, which need the token."""
    before = site.api("GET", "users/alice").json()["servers"][session.name]["last_activity"]
    session.get("api/contents").raise_for_status()

    def newer() -> bool:
        return site.api("GET", "users/alice").json()["servers"][session.name]["last_activity"] > before

    wait_until(newer, 15, "no report")
    assert "Error notifying Hub" not in session.log


async def test_the_desktops_passwords_are_new_once_a_collaborator_is_out(site, session):
    passwords = display.x_environment(session)["XAUTHORITY"].replace("xauthority", "passwd")

    def held() -> bytes:
        with open(passwords, "rb") as file:
            return file.read()

    owner = await Viewer.open(session)
    await later(lambda: site.share("alice", session.name, "vera"))
    await later(lambda: site.share("alice", session.name, "carl", True))
    token = site.person("carl")
    await later(wait_until, lambda: session.get("api/contents", token).status_code == 200, 5)
    before = held()
    await later(site.unshare, "alice", session.name, "vera")
    assert held() == before, "a viewer cannot have read them"
    await later(site.share, "alice", session.name, "carl")
    await later(wait_until, lambda: held() != before, 5)
    assert await owner.sees(), "who is connected stays connected"
    again = await Viewer.open(session)
    assert await again.sees()
    again.close()
    owner.close()
