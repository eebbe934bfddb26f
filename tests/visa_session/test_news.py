"""What pages in a session are told as it changes, and the calls that are handed on to the hub."""

from __future__ import annotations

import httpx
import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from visa_session.members import Table

from .hubside import Session, later, start_session, stop_session, wait_until
from .peoplesockets import Socket, Stream, ended, room_of, started

REQUEST = {"id": "r1", "name": "sue", "full_name": "Sue Port", "role": "collaborator", "message": "May I?"}
NOTICE = {"id": "n1", "kind": "message", "words": "Please save", "made": "2026-01-01T00:00:00+00:00"}


@pytest.fixture(scope="module")
def session(site):
    session = start_session(site, "alice", "news")
    yield session
    site.answer()
    stop_session(session)


@pytest.fixture
def people(site, session):
    site.answer()
    site.tell("alice", session.name, members=[], requests=[], notices=[], help=None, away="leave")
    site.share("alice", session.name, "vera", full_name="Vera Ray")
    site.share("alice", session.name, "sue", control=True, support=True, until="2999-01-01T00:00:00+00:00")
    people = {name: site.person(name) for name in ("vera", "sue")}
    for token in people.values():
        wait_until(lambda token=token: session.get("visa/session", token).status_code == 200, 5)
    return people


async def test_the_owner_is_told_everything_as_it_changes(site, session, people):
    news = await started(Stream(session, "visa/news", session.token))
    first = await news.becomes(lambda told: {m["name"] for m in told["members"]} == {"vera", "sue"})
    assert first["role"] == "owner"
    assert first["owner"] == {"name": "alice", "full_name": "Alice", "present": True}
    assert first["requests"] == first["notices"] == []
    sue = next(member for member in first["members"] if member["name"] == "sue")
    assert sue["support"] is True
    assert sue["until"] == "2999-01-01T00:00:00+00:00"
    assert sue["present"] is None
    await later(lambda: site.tell("alice", session.name, requests=[REQUEST], notices=[NOTICE]))
    told = await news.becomes(lambda told: told["requests"])
    assert (told["requests"], told["notices"]) == ([REQUEST], [NOTICE])
    sues = await Socket.open(session, "api/events/subscribe", people["sue"])
    told = await news.becomes(lambda told: any(m["present"] for m in told["members"]))
    assert [member["name"] for member in told["members"] if member["present"]] == ["sue"]
    sues.close()
    news.close()


async def test_members_are_told_who_is_in_and_no_more(site, session, people):
    await later(lambda: site.tell("alice", session.name, requests=[REQUEST], notices=[NOTICE]))
    veras = await started(Stream(session, "visa/news", people["vera"]))
    sues = await Socket.open(session, "api/events/subscribe", people["sue"])
    told = await veras.becomes(lambda told: len(told["members"]) == 2)
    assert set(told) == {"role", "granted", "owner", "support", "until", "ends", "members"}
    assert told["role"] == "viewer"
    assert {"full_name": "Vera Ray", "role": "viewer", "support": False} in told["members"]
    assert {"full_name": "Sue", "role": "collaborator", "support": True} in told["members"]
    sues.close()
    await later(site.unshare, "alice", session.name, "vera")
    await ended([veras])
    assert (await later(session.get, "visa/news", people["vera"])).status_code == 403


async def test_reading_the_news_is_no_activity(session):
    def last() -> str:
        return session.get("api/status").json()["last_activity"]

    before = await later(last)
    (await started(Stream(session, "visa/news", session.token))).close()
    assert await later(last) == before
    await later(session.get, "api/contents")
    assert await later(last) > before, "and something else is"


CALLS = [
    ("POST", "visa/answers", {"request": "r1", "answer": "watch"}, "/alice/news/answers"),
    ("DELETE", "visa/members/vera", None, "/alice/news/members/vera"),
    ("DELETE", "visa/members/a%2Fb", None, "/alice/news/members/a%2Fb"),
    ("DELETE", "visa/members", None, "/alice/news/members"),
    ("POST", "visa/notices/n1/seen", None, "/notices/n1/seen"),
]


@pytest.mark.parametrize(("method", "path", "body", "heard"), CALLS)
def test_the_owners_calls_are_handed_on(site, session, people, method, path, body, heard):
    before = len(site.heard(session, heard))
    answer = session.get(path, method=method, json=body)
    assert answer.status_code == 204, answer.text
    assert len(site.heard(session, heard)) == before + 1
    assert body is None or site.heard(session, heard)[-1] == body
    site.answer(calls=[409, "request: it has lapsed"])
    refused = session.get(path, method=method, json=body)
    assert refused.status_code == 409
    assert refused.json()["message"] == "request: it has lapsed"
    for token in people.values():
        assert session.get(path, token, method, json=body).status_code == 403
    site.answer()


def test_an_answer_that_is_none_is_refused_here(session):
    for body in ({}, [], {"request": "r1"}, {"request": "r1", "answer": "watch", "more": 1}):
        answer = session.get("visa/answers", method="POST", json=body)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("request: ")


def cookies_of(session: Session, token: str) -> dict[str, str]:
    """A browser's, as after a login."""
    return dict(httpx.get(f"{session.url}visa/session?token={token}").cookies)


def test_a_page_elsewhere_cannot_make_the_owners_calls(session):
    """By cookie alone, without the page's own token."""
    cookies = cookies_of(session, session.token)
    for method, path, body, _ in CALLS:
        answer = httpx.request(
            method, session.url + path, json=body, cookies=cookies, headers={"Origin": "http://evil.example"}
        )
        assert answer.status_code == 403, (method, path)
    ours = {"X-XSRFToken": cookies["_xsrf"], "Referer": session.url}
    assert httpx.delete(session.url + "visa/members", cookies=cookies, headers=ours).status_code == 204


def test_cookies_of_another_session_open_nothing(site, session, new_session):
    """A person's own session elsewhere, its cookies under this one's name too."""
    other = new_session("mallory")
    cookies = cookies_of(other, other.token)
    name = next(name for name in cookies if name.startswith("jupyterhub-user-"))
    forged = cookies | {f"jupyterhub-user-alice-{session.name}": cookies[name]}
    for path in ("visa/session", "api/contents", "visa/news"):
        answer = httpx.get(session.url + path, cookies=forged, follow_redirects=False)
        assert answer.status_code in (302, 403), path
        assert "/oauth2/authorize" in answer.headers.get("Location", "/oauth2/authorize")


async def test_every_socket_asks_where_its_page_is_from(session):
    kernel = (await later(session.get, "api/kernels", None, "POST", json={"name": "python3"})).json()["id"]
    terminal = (await later(session.get, "api/terminals", None, "POST")).json()["name"]
    cookies = await later(cookies_of, session, session.token)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    paths = [f"api/kernels/{kernel}/channels", f"terminals/websocket/{terminal}", "api/events/subscribe"]
    room = await later(room_of, session, session.token)
    for path in [*paths, "desktop/socket", f"api/collaboration/room/{room}"]:
        url = session.url.replace("http:", "ws:") + path
        with pytest.raises(HTTPClientError) as refused:
            await websocket_connect(
                HTTPRequest(url, headers={"Cookie": cookie, "Origin": "http://evil.example"})
            )
        assert refused.value.code == 403, path


def test_a_member_whom_the_table_does_not_describe_is_left_out():
    given = {
        "members": [{"name": "a", "role": "viewer"}, {"name": "b", "role": "god"}, {"role": "viewer"}, 5]
    }
    given["members"] += [{"name": "alice", "role": "owner"}, {"name": "c", "role": "viewer", "until": "soon"}]
    table = Table.read(given | {"away": "whatever", "trust_seconds": 60})
    assert set(table.members) == {"a"}
    assert table.away == "disconnect"
    for bad in ({}, [], None, {"members": 5}, given | {"trust_seconds": "x", "away": "leave"}):
        with pytest.raises(ValueError, match="not readable"):
            Table.read(bad)
