"""Our tables beside the hub's, on SQLite and on PostgreSQL: made, taken away, as the models say."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from jupyterhub import orm
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from visa_sharing import database as ours
from visa_sharing.audit.record import record
from visa_sharing.schema import VERSION_TABLE, alembic_config, upgrade


def tables(engine):
    return {name for name in inspect(engine).get_table_names() if name.startswith("visa_")}


def test_they_are_made_as_the_models_say_and_taken_away_again(hub_engine):
    upgrade(hub_engine)
    assert tables(hub_engine) == {*ours.Base.metadata.tables, VERSION_TABLE}
    with hub_engine.connect() as connection:
        options = {
            "compare_type": True,
            "version_table": VERSION_TABLE,
            "include_name": lambda name, kind, _: kind != "table" or name.startswith("visa_"),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, ours.Base.metadata) == []
    hub_tables = set(inspect(hub_engine).get_table_names()) - tables(hub_engine)
    with hub_engine.begin() as connection:
        command.downgrade(alembic_config(connection), "base")
    assert tables(hub_engine) == {VERSION_TABLE}
    assert hub_tables == set(inspect(hub_engine).get_table_names()) - {VERSION_TABLE}
    upgrade(hub_engine)
    upgrade(hub_engine)
    assert tables(hub_engine) == {*ours.Base.metadata.tables, VERSION_TABLE}


def test_what_belongs_to_a_session_goes_with_it_and_its_history_stays(our_engine):
    with Session(our_engine) as db:
        alice, bob = orm.User(name="alice"), orm.User(name="bob")
        spawner = orm.Spawner(name="tooth", user=alice)
        db.add_all([alice, bob, spawner])
        db.flush()
        share = orm.Share(owner=alice, spawner=spawner, user=bob, scopes=["x"])
        db.add(share)
        db.flush()
        key = {"spawner_id": spawner.id}
        db.add(ours.Grant(share_id=share.id, role="viewer", granted_by="alice"))
        db.add(ours.SessionPolicy(**key, locked=True))
        db.add(ours.TeamShare(**key, experiment="A-1", role="viewer", made_by="alice"))
        db.add(ours.NotAgain(**key, user_id=bob.id))
        db.add(ours.Link(**key, digest="d", role="viewer", expires=ours.now(), max_uses=1, made_by="alice"))
        db.add(ours.Request(**key, kind="help", message="please"))
        record(db, "locked", owner="alice", session="tooth", who="alice")
        db.commit()
        db.delete(spawner)
        db.commit()
        for table in (ours.Grant, ours.SessionPolicy, ours.TeamShare, ours.NotAgain, ours.Link, ours.Request):
            assert db.scalars(select(table)).all() == []
        assert [line.what for line in db.scalars(select(ours.Event))] == ["locked"]


def test_no_number_of_a_line_is_used_twice(our_engine):
    with Session(our_engine) as db:
        first = record(db, "announcement-ended", who="root", notice=1)
        db.commit()
        number = first.id
        db.delete(first)
        db.commit()
        again = record(db, "announcement-ended", who="root", notice=1)
        db.commit()
        assert again.id > number
