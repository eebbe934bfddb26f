"""What a restarted hub makes for each session costs little, and still has its settings."""

from types import SimpleNamespace

import pytest
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from traitlets import HasTraits
from traitlets.config import Config

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.running.made_often import _settings
from visa_spawner.spawner import VisaSpawner

NODE = {"name": "n", "engine": "unix:///run/n.sock", "cpus": 9, "memory": "9G"}


@pytest.fixture
def make(monkeypatch, caplog):
    """Makes container backends; `looked` counts who went through all traits, or checked the nodes."""
    looked = []
    traits = HasTraits.traits

    def counted(self, **metadata):
        looked.append(type(self))
        return traits(self, **metadata)

    monkeypatch.setattr(HasTraits, "traits", counted)
    monkeypatch.setattr("visa_spawner.backends.settings.read_nodes", lambda value: looked.append("nodes"))
    config = Config()
    config.ContainerBackend.nodes, config.ContainerBackend.hub_id = [NODE], "here"
    config.ContainerBackend.stop_grace = 17
    config.Spawner.http_timeout = 19
    monkeypatch.delitem(_settings, ContainerBackend, raising=False)
    return SimpleNamespace(one=lambda: ContainerBackend(config=config), looked=looked, log=caplog)


def test_settings_are_sought_once_and_nodes_are_the_fleets(make):
    made = [make.one() for _ in range(20)]
    assert {(one.stop_grace, one.http_timeout, one.hub_id) for one in made} == {(17, 19, "here")}
    assert make.looked.count(ContainerBackend) == 1
    assert "nodes" not in make.looked
    assert not make.log.records


def test_what_is_no_setting_is_still_told(make):
    make.one().config.ContainerBackend.stop_grate = 3
    config = Config({"ContainerBackend": {"stop_grate": 3}})
    ContainerBackend(config=config)
    assert "stop_grate" in make.log.text


def test_other_questions_about_traits_are_answered_as_ever(make):
    one = make.one()
    assert "nodes" in one.trait_names() or "reported_port" in one.trait_names()
    assert set(one.trait_names(config=True)) <= set(one.trait_names())
    one.traits(config=True).clear()
    assert one.traits(config=True)


def test_a_session_that_is_found_again_asks_the_database_nothing_more(monkeypatch, tmp_path):
    """Beyond its own row, which the hub has read with all others."""
    factory = orm.new_session_factory(f"sqlite:///{tmp_path}/hub.sqlite")
    with factory() as db:
        user = orm.User(name="alice")
        server = orm.Server(ip="127.0.0.1", port=1, base_url="/user/alice/tooth/")
        db.add_all([user, orm.Spawner(name="", user=user)])
        db.add(orm.Spawner(name="tooth", user=user, server=server, state={"visa": {"phase": ""}}))
        db.commit()
        settings = {"config": Config(), "spawner_class": VisaSpawner, "hub": Hub(ip="127.0.0.1", port=1)}
        asked = []
        monkeypatch.setattr(db, "query", asked.append)
        spawner = User(user, settings).spawners["tooth"]
        assert spawner.name == "tooth" and spawner.server is not None
        assert asked == []
