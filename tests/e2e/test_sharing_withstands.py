"""What sharing withstands on the real site: restarts, curious members, foreign pages; and what ends it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator

import httpx
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from bench.sharing.rfb import Gone, Websocket
from demo import blocking
from demo.login import browser as http_browser
from demo.login import log_in

from .sharing import EXPERIMENT, Shared, best_of, portal, seconds_until_closed
from .site import RunningSite, patiently
from .test_withstands import hub_is_back


@pytest.fixture(scope="module")
def session(site: RunningSite) -> Iterator[Shared]:
    """alice's session, whose experiment bob and chloe are on, too."""
    alice = site.account("alice")
    options = {"experiments": [EXPERIMENT], "profile": "general", "plan": "small", "interface": "lab"}
    alice.started("fortress", **options)
    shared = Shared(alice, "fortress")
    shared.desktop(alice).close()  # starts the desktop
    yield shared
    alice.remove("fortress")


@pytest.fixture
def alone(session: Shared) -> Shared:
    """The session with nobody in it but its owner."""
    session.end_all()
    return session


def test_end_closes_a_collaborators_sockets_within_a_second(alone: Shared, site: RunningSite):
    bob, alice = site.account("bob"), site.account("alice")

    def ended() -> float:
        alone.let_in(bob, "collaborator")
        bobs, owner = alone.gets_in(bob), alone.desktop(alice)
        terminal = httpx.post(f"{alone.url}api/terminals", headers=bob.headers, trust_env=False).json()[
            "name"
        ]
        shell = alone.socket(bob, f"terminals/websocket/{terminal}")
        seconds = seconds_until_closed(lambda: alone.call("DELETE", "/members/bob"), bobs.way, shell)
        assert alone.get(bob, "api/contents") == 403
        owner.point(10, 10)
        owner.pump()  # the owner's is untouched
        owner.close()
        return seconds

    assert best_of(3, ended) <= 1
    assert alone.stays_out(bob)


def test_a_blocked_account_is_out_of_others_sessions_within_a_second(alone: Shared, site: RunningSite):
    """The provider tells the hub, the hub its sessions; nobody asks anybody, nothing is waited for."""
    socket, bob = site.run / "provider-admin.sock", site.account("bob")

    def blocked() -> float:
        alone.let_in(bob, "collaborator")
        bobs = alone.gets_in(bob)
        try:
            seconds = seconds_until_closed(lambda: blocking.block(socket, "bob"), bobs.way)
            assert alone.get(bob, "api/contents") == 403
            assert bob.call("GET", "visa/sessions").status_code == 403
            assert alone.stays_out(bob)
        finally:
            blocking.unblock(socket, "bob")
            logged_in_again(site, "bob")
        return seconds

    assert best_of(3, blocked) <= 1
    alone.gets_in(bob).close()  # who is vouched for again is let in as before


def logged_in_again(site: RunningSite, name: str) -> None:
    with http_browser(trust_env=False) as client:
        log_in(client, site.url, name, site.account(name).password)


def test_who_joins_the_team_gets_in_and_who_leaves_it_is_out(alone: Shared, site: RunningSite):
    """By what the provider says of sam at the next login; the catalogue lists him nowhere."""
    sam = site.account("sam")
    assert alone.call("PUT", f"/teams/{EXPERIMENT}", json={"role": "viewer"}).status_code == 204
    assert alone.stays_out(sam)
    file = site.run / "accounts.json"
    before = file.read_text()
    accounts = json.loads(before)
    accounts["sam"]["experiments"] = [EXPERIMENT]
    try:
        file.write_text(json.dumps(accounts))
        logged_in_again(site, "sam")
        here = alone.gets_in(sam)
    finally:
        file.write_text(before)
    assert seconds_until_closed(lambda: logged_in_again(site, "sam"), here.way) < 5, "the login and a second"
    assert alone.stays_out(sam)


def test_restarts_in_the_middle_keep_and_give_nothing(alone: Shared, site: RunningSite):
    """The hub, the portal and the proxy die while somebody watches: who is in stays, who is not does not."""
    bob, chloe = site.account("bob"), site.account("chloe")
    alone.let_in(bob, "viewer")
    watching = alone.gets_in(bob)
    hub = site.pid("hub")
    site.kill("hub")
    assert alone.stays_out(chloe, "403", "500", "502", "503"), "nobody can say who that is"
    hub_is_back(site, hub)
    alone.owner.until("fortress", "running")
    assert alone.members() == {"bob": "viewer"}
    assert alone.get(bob, "visa/session") == 200
    seconds = seconds_until_closed(lambda: alone.call("DELETE", "/members/bob"), watching.way)
    assert seconds < 5, "the session listens to the new hub"
    assert alone.stays_out(bob)

    alone.let_in(chloe, "viewer")
    alone.gets_in(chloe).close()
    for part in ("portal", "proxy"):
        before = site.pid(part)
        site.kill(part)
        for _ in patiently(30):
            if site.pid(part) != before and reachable(alone, chloe) and portal_is_well(site):
                break
    assert alone.members() == {"chloe": "viewer"}
    assert alone.get(chloe, "api/contents") == 403, "a viewer is a viewer after it, too"
    assert alone.stays_out(bob)
    assert portal_is_well(site)


def portal_is_well(site: RunningSite) -> bool:
    try:
        return httpx.get(f"{portal(site)}health", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def reachable(session: Shared, who) -> bool:
    try:
        return session.get(who, "visa/session") == 200
    except httpx.TransportError:
        return False


async def in_terminal(session: Shared, who, script: str) -> str:
    """What a script prints in a terminal that somebody opens in the session."""
    async with httpx.AsyncClient(headers=who.headers, trust_env=False, timeout=20) as client:
        answer = (await client.post(f"{session.url}api/terminals")).raise_for_status()
    name = answer.json()["name"]
    address = f"{session.url.replace('http', 'ws', 1)}terminals/websocket/{name}"
    shell = await websocket_connect(HTTPRequest(address, headers=who.headers))
    # The end is spelt otherwise than it is printed: the terminal shows what is typed, too.
    await shell.write_message(json.dumps(["stdin", f"{script}; echo e''nd-of-it\n"]))
    said = ""
    async with asyncio.timeout(30):
        while "end-of-it" not in said and (piece := await shell.read_message()) is not None:
            kind, *rest = json.loads(piece)
            said += rest[0] if kind == "stdout" else ""
    shell.close()
    return said


#: Prints what names a token in any process's environment or command line, and whose memory could be read.
CURIOUS = """
for p in /proc/[0-9]*; do
  tr '\\0' '\\n' < $p/environ 2>/dev/null | grep -a 'TOKEN=.' | sed 's/^/environment /'
  tr '\\0' '\\n' < $p/cmdline 2>/dev/null | grep -ai 'token=.' | sed 's/^/command /'
  if [ "$(cat $p/comm 2>/dev/null)" = visa-session ]; then
    echo "server ${p#/proc/}"
    ls $p/fd > /dev/null 2>&1 && echo "files ${p#/proc/}"
    head -c 0 $p/mem 2>/dev/null && echo "memory ${p#/proc/}"
  fi
done
env | grep 'TOKEN=.' | sed 's/^/shell /'
"""


async def test_a_collaborator_finds_no_token_of_the_session(alone: Shared, site: RunningSite):
    """In a real container: what a terminal there can read of the session's processes."""
    bob = site.account("bob")
    await asyncio.to_thread(alone.let_in, bob, "collaborator")
    (await asyncio.to_thread(alone.gets_in, bob)).close()
    script = base64.b64encode(CURIOUS.encode()).decode()
    said = await in_terminal(alone, bob, f"stty -echo; echo {script} | base64 -d | sh")
    found = r"(environment|command|shell|server|files|memory) "
    lines = [line for line in said.split("\r\n") if re.match(found, line)]
    assert [line for line in lines if line.startswith("server ")], said
    assert [line for line in lines if not line.startswith("server ")] == []


def terminals(session: Shared) -> list:
    url = f"{session.url}api/terminals"
    return httpx.get(url, headers=session.owner.headers, trust_env=False).raise_for_status().json()


async def test_a_page_of_one_session_acts_on_nothing_else(alone: Shared, site: RunningSite, person):
    """A script on alice's origin, in bob's browser: the portal, the hub and bob's own session refuse it."""
    bob = site.account("bob")
    await asyncio.to_thread(bob.started, "mine", profile="general", plan="small", experiments=[EXPERIMENT])
    try:
        await asyncio.to_thread(alone.let_in, bob, "collaborator")
        mine = Shared(bob, "mine")
        async with person("bob") as page:
            await page.goto(f"{mine.url}lab")
            await page.goto(f"{mine.sharing_page}")
            await page.goto(f"{alone.url}desktop/")
            tried = await page.evaluate(
                """async ([portal, hub, mine, name]) => {
                  const form = new URLSearchParams({name: "alice", role: "collaborator", _xsrf: ""});
                  const plain = {"Content-Type": "text/plain"};
                  const how = {credentials: "include", mode: "no-cors", method: "POST"};
                  const send = (url, options) => fetch(url, {...how, ...options})
                    .then((answer) => answer.type + answer.status, () => "refused");
                  const socket = (url) => new Promise((done) => {
                    const one = new WebSocket(url.replace("http", "ws"));
                    one.onopen = () => done("open"); one.onerror = () => done("refused");
                  });
                  return [
                    await send(`${portal}sessions/${name}/sharing/let-in`, {body: form}),
                    await send(`${hub}/api/visa/sharing/bob/${name}/members`,
                      {body: JSON.stringify({name: "alice", role: "collaborator"}), headers: plain}),
                    await send(`${mine}api/terminals`, {}),
                    await send(`${hub}/logout`, {method: "GET"}),
                    await socket(`${mine}desktop/socket`),
                    await socket(`${mine}api/collaboration/room/JupyterLab:globalAwareness`),
                    await fetch(`${mine}api/contents`, {credentials: "include"})
                      .then((answer) => answer.type, () => "refused"),
                  ];
                }""",
                [portal(site), f"{site.url}/hub", mine.url, "mine"],
            )
            assert tried[4:] == ["refused", "refused", "refused"], tried
            assert mine.members() == {}
            assert await asyncio.to_thread(terminals, mine) == []
            # The cookie of one session is worth nothing in another.
            cookies = {one["name"]: one["value"] for one in await page.context.cookies(alone.url)}
            async with httpx.AsyncClient(cookies=cookies, trust_env=False) as thief:
                assert (await thief.get(f"{mine.url}api/contents")).status_code in (302, 403)
    finally:
        await asyncio.to_thread(bob.remove, "mine")


def test_a_stranger_gets_the_same_from_a_session_as_from_none(alone: Shared, site: RunningSite):
    sam = site.account("sam")
    with pytest.raises(Gone) as refused:
        alone.socket(sam, "desktop/socket")
    assert str(refused.value) == "403"
    answer = sam.call("GET", f"visa/sharing/{alone.owner.name}/{alone.name}")
    nothing = sam.call("GET", f"visa/sharing/{alone.owner.name}/nothing")
    assert (answer.status_code, answer.json()["message"]) == (404, nothing.json()["message"])
    assert isinstance(alone.socket(alone.owner, "desktop/socket"), Websocket)
