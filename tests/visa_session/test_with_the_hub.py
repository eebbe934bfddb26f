"""A real session with the real hub's sharing at the other end of its line, to hold both to their contract."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.visa_sharing.sharing_hub import a_sharing_hub
from visa_session.contract import INFO_VARIABLE

from .hubside import Session, later, wait_until
from .launch import Launched
from .peoplesockets import Socket, Stream, ended, started

MEMBERS = "visa/sharing/alice/tooth/members"
OPTIONS = {"experiments": ["A-1"], "profile": "general", "plan": "small"}


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub({"trust_seconds": 20}) as hub:
        yield hub


@pytest.fixture(scope="module")
def session(hub):
    """The hub's own stand-in waits; the real one says that it is ready, by the same token."""
    (hub.marks / "hold-ready").touch()
    answer = hub.start_session("tooth", OPTIONS)
    assert answer.status_code in (201, 202), answer.text
    plan = hub.marks / "alice+tooth.plan"
    wait_until(lambda: plan.exists() and plan.read_text().endswith("}"), 20)
    given = json.loads(plan.read_text())["plan"]["environment"]
    ours = ("HOME", "PATH", "PYTHONPATH", INFO_VARIABLE)
    env = {name: value for name, value in given.items() if name not in ours}
    env["JUPYTERHUB_SERVICE_URL"] = "http://127.0.0.1:0/user/alice/tooth/"
    launched = Launched(0, {"name": "tooth"}, **env).start()
    try:
        wait_until(lambda: (hub.session("tooth") or {}).get("ready"), 40, launched.said)
        session = Session(hub, "alice", "tooth", hub.token("alice"))
        session.launched = launched
        yield session
    finally:
        launched.process.terminate()
        launched.process.wait(15)
        launched.close()


def status(session, token, path="api/contents") -> int:
    return session.get(path, token).status_code


async def test_let_in_and_out_by_each_way_the_hub_has(hub, session):
    bob = await later(hub.token, "bob")
    assert await later(status, session, bob) == 403
    ways = [
        lambda: hub.api("DELETE", f"{MEMBERS}/bob", "alice"),
        lambda: hub.api("PATCH", "shares/alice/tooth", json={"user": "bob"}),
        lambda: session.get("visa/members/bob", method="DELETE"),
        lambda: session.get("visa/members", method="DELETE"),
        lambda: session.get(f"visa/members/{'nobody'}", method="DELETE"),
    ]
    for number, end in enumerate(ways[:-1]):
        begun = time.monotonic()
        assert (await later(hub.let_in, "bob", "collaborator")).status_code == 201
        await later(wait_until, lambda: status(session, bob) == 200, 5)
        assert time.monotonic() - begun < 2
        socket = await Socket.open(session, "api/events/subscribe", bob)
        begun = time.monotonic()
        answer = await later(end)
        assert answer.status_code == 204 or number == 1, answer.text
        assert await ended([socket]) - begun < 2
        assert socket.code == 4403
        assert await later(status, session, bob) == 403
    refused = await later(ways[-1])
    assert refused.status_code == 404
    assert refused.json()["message"].startswith("name: ")
    wait_until(lambda: {event["who"] for event in hub.events(what="left")} == {"bob"}, 5)
    assert {event["who"] for event in hub.events(what="entered")} == {"bob"}


async def test_support_asks_and_the_owner_answers_inside(hub, session):
    heidi = await later(hub.token, "heidi")
    news = await started(Stream(session, "visa/news", session.token))
    asked = await later(
        lambda: hub.api(
            "POST", "visa/support/alice/tooth/ask", "heidi", json={"role": "collaborator", "message": "Help?"}
        )
    )
    assert asked.status_code == 201, asked.text
    told = await news.becomes(lambda told: told["requests"])
    request = told["requests"][0]
    assert request["name"] == "heidi"
    body = {"request": request["id"], "answer": "watch"}
    answer = await later(session.get, "visa/answers", None, "POST", json=body)
    assert answer.status_code == 204, answer.text
    told = await news.becomes(lambda told: told["members"] and not told["requests"])
    assert (told["members"][0]["role"], told["members"][0]["support"]) == ("viewer", True)
    assert await later(status, session, heidi, "visa/session") == 200
    assert await later(status, session, heidi) == 403
    again = await later(session.get, "visa/answers", None, "POST", json=body)
    assert again.status_code == 409
    news.close()
    await later(lambda: hub.api("DELETE", MEMBERS, "alice"))


def test_a_member_logs_in_with_a_browser(hub, session):
    """JupyterHub's own login, whose token carries no scope of ours: the table decides."""
    browser = hub.login("erin")
    assert hub.let_in("erin", "viewer").status_code == 201
    page = browser.get(f"{hub.url}/user/alice/tooth/", follow_redirects=True)
    if "oauth2/authorize" in page.url.path:  # the hub asks whether this session may know who one is
        scopes = [tag for tag in re.findall(r"<input[^>]*>", page.text) if 'name="scopes"' in tag]
        xsrf = next(tag for tag in re.findall(r"<input[^>]*>", page.text) if 'name="_xsrf"' in tag)
        value = re.compile(r'value="([^"]*)"')
        data = {"scopes": [value.search(tag)[1] for tag in scopes], "_xsrf": value.search(xsrf)[1]}
        page = browser.post(page.url, data=data, follow_redirects=True, headers={"Referer": str(page.url)})
    assert page.url.path == "/user/alice/tooth/desktop/", page.url
    assert page.status_code == 200, page.text[:500]
    assert browser.get(f"{hub.url}/user/alice/tooth/api/contents").status_code == 403
    hub.api("PATCH", f"{MEMBERS}/erin", "alice", json={"role": "collaborator"})
    wait_until(lambda: browser.get(f"{hub.url}/user/alice/tooth/api/contents").status_code == 200, 5)
    hub.api("DELETE", f"{MEMBERS}/erin", "alice")
    wait_until(lambda: browser.get(f"{hub.url}/user/alice/tooth/desktop/").status_code == 403, 5)
    browser.close()
