"""A session's own calls, which all sessions make at once when the hub comes back."""

import asyncio
import socket
from types import SimpleNamespace

import httpx
import pytest
from jupyterhub import orm
from jupyterhub.objects import Hub
from sqlalchemy import event
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from visa_spawner.api.calls import SessionHandler
from visa_spawner.running.gone import has_gone


class Call(SessionHandler):
    async def get(self):
        self.write(self.current_user.name if self.current_user else "nobody")

    @property
    def db(self):
        return self.settings["db"]

    @property
    def users(self):
        return self.settings["users"]

    def write_error(self, status_code, **kwargs):
        self.finish()


@pytest.fixture
async def served(tmp_path):
    """A hub's call with its database; `asked` are the statements."""
    factory = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")
    db = factory()
    user = orm.User(name="alice")
    db.add(user)
    db.commit()
    token = "a-token-of-a-session"
    db.add(orm.OAuthClient(identifier="jupyterhub"))
    row = orm.APIToken(note="Server at /user/alice/tooth/", scopes=[], client_id="jupyterhub")
    row.token, row.user = token, user
    db.add(row)
    db.commit()
    asked = []
    event.listen(db.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
    users = {user: SimpleNamespace(name="alice")}
    app = web.Application(
        [("/", Call)], db=db, users=users, hub=Hub(), activity_resolution=30, log_function=lambda it: None
    )
    server = HTTPServer(app)
    server.listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    yield SimpleNamespace(url=f"http://127.0.0.1:{port}/", port=port, token=token, asked=asked, db=db)
    server.stop()
    db.close()


async def test_whose_token_it_is_takes_one_question_and_writes_nothing(served):
    async with httpx.AsyncClient(headers={"Authorization": f"token {served.token}"}) as http:
        await http.get(served.url)
        served.asked.clear()
        answer = await http.get(served.url)
    assert answer.text == "alice"
    assert len([one for one in served.asked if "FROM api_tokens" in one]) == 1
    assert not [one for one in served.asked if one.startswith(("UPDATE", "INSERT"))]
    # One more is the hub's own, whether the database is there, after a commit.
    assert len(served.asked) <= 2


@pytest.mark.parametrize("token", ["", "a-token-of-nobody"])
async def test_nobodys_token_is_nobody(served, token):
    async with httpx.AsyncClient(headers={"Authorization": f"token {token}"} if token else {}) as http:
        assert (await http.get(served.url)).text == "nobody"


async def test_nothing_is_asked_for_somebody_who_has_given_up(served):
    request = f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: token {served.token}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", served.port)) as one:
        one.sendall(request)
    # Closed before the hub has read a word of it: the loop turns only now.
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert served.asked == []


async def test_whatever_else_there_is_to_do_goes_between_the_calls_of_many_sessions(served, monkeypatch):
    turns, between = 0, []

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    find = orm.APIToken.find.__func__

    def noted(cls, db, token):
        between.append(turns)
        return find(cls, db, token)

    monkeypatch.setattr(orm.APIToken, "find", classmethod(noted))
    task = asyncio.create_task(others())
    async with httpx.AsyncClient(headers={"Authorization": f"token {served.token}"}) as http:
        await asyncio.gather(*(http.get(served.url) for _ in range(30)))
    task.cancel()
    assert len(between) == 30 and len(set(between)) == 30


async def test_an_open_connection_has_not_gone_and_a_closed_one_has():
    here, there = socket.socketpair()
    stream = IOStream(here)
    request = SimpleNamespace(connection=SimpleNamespace(stream=stream))
    assert not has_gone(request)
    there.sendall(b"x")
    assert not has_gone(request)
    here.recv(1)
    there.close()
    assert has_gone(request)
    stream.close()
    assert has_gone(request)
    assert not has_gone(SimpleNamespace(connection=None))
