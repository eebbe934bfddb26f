"""What a restarted hub asks of its database about the sessions that it left: not more for more of them."""

import gc
import logging
from types import SimpleNamespace

import pytest
from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.objects import Hub
from jupyterhub.spawner import Spawner
from jupyterhub.user import UserDict
from sqlalchemy import event
from traitlets.config import Config

from visa_spawner.kept import found_again
from visa_spawner.running import collecting, counting
from visa_spawner.start.vouched import VouchedServer


class Runs(Spawner):
    """A session that runs."""

    poll_interval = 0

    async def start(self):
        pass

    async def stop(self, now=False):
        pass

    async def poll(self):
        return None

    async def get_url(self):
        self._server = VouchedServer(orm_server=self.orm_spawner.server)
        return self.server.url


@pytest.fixture
def asked_at_start(tmp_path, monkeypatch):
    """How many statements a hub's start takes with so many sessions, each of another owner."""
    for name in ("init_spawners", "init_users", "check_invalid_named_servers"):
        monkeypatch.setattr(JupyterHub, name, getattr(JupyterHub, name))
    for part in (found_again, collecting) * 2:
        part.join_hub()

    async def start(count):
        address = f"sqlite:///{tmp_path}/hub{count}.sqlite"
        with orm.new_session_factory(address)() as db:
            role, group = orm.Role(name="user"), orm.Group(name="experiment-1")
            for number in range(count):
                user = orm.User(name=f"p{number}", roles=[role], groups=[group])
                server = orm.Server(ip="127.0.0.1", port=1, base_url=f"/user/p{number}/tooth/")
                db.add_all([user, orm.Spawner(name="", user=user)])
                db.add(orm.Spawner(name="tooth", user=user, server=server))
            db.commit()
        db = orm.new_session_factory(address)()
        settings = {"config": Config(), "spawner_class": Runs, "hub": Hub(ip="127.0.0.1", port=1)}
        app = SimpleNamespace(
            db=db,
            log=logging.getLogger("test"),
            log_level=logging.INFO,
            users=UserDict(lambda: db, settings),
            authenticator=SimpleNamespace(blocked_users=set()),
            proxy=None,
        )
        asked = []
        event.listen(db.get_bind(), "before_cursor_execute", lambda *args: asked.append(args[2]))
        assert await JupyterHub.init_spawners(app) == count
        assert len(app.users) == count
        assert all(user.spawners["tooth"].ready for user in app.users.values())
        db.close()
        return len(asked)

    yield start
    collecting.collector.end()


async def test_the_owners_of_all_sessions_are_read_at_once(asked_at_start):
    few, many = await asked_at_start(3), await asked_at_start(60)
    assert many <= few + 2


async def test_what_the_hub_has_found_is_not_looked_through_for_garbage_again(asked_at_start):
    before = gc.get_freeze_count()
    await asked_at_start(20)
    assert gc.get_freeze_count() > before + 1000


class Looked:
    """A session that notes when it is counted."""

    looks, pending, active, ready = 0, None, True, True

    def __getattribute__(self, name):
        if name == "pending":
            Looked.looks += 1
        return super().__getattribute__(name)


@pytest.mark.parametrize(("limit", "looks"), [(0, 1), (100, 5)])
def test_sessions_are_counted_at_each_start_only_where_a_limit_needs_it(monkeypatch, limit, looks):
    monkeypatch.setattr(UserDict, "count_active_users", UserDict.count_active_users)
    counting.join_hub()
    counting.join_hub()
    users = UserDict(None, {"concurrent_spawn_limit": limit})
    dict.__setitem__(users, 1, SimpleNamespace(spawners={"tooth": Looked()}))
    monkeypatch.setattr(Looked, "looks", 0)
    for _ in range(5):
        counts = users.count_active_users()
        assert (counts["active"], counts["spawn_pending"]) == (1, 0)
    assert Looked.looks == looks
