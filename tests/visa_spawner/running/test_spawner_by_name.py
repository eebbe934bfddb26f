"""People by name: found without a question where they are at hand, and never somebody who is not there."""

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine, delete, event
from sqlalchemy.orm import sessionmaker

from visa_spawner.running import by_name


@pytest.fixture
def factory(tmp_path, monkeypatch):
    monkeypatch.setattr(orm.User, "find", orm.User.__dict__["find"])
    by_name._found.clear()
    by_name.join_hub()
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    orm.Base.metadata.create_all(engine)
    return sessionmaker(bind=engine, expire_on_commit=False)  # as the hub makes it


@pytest.fixture
def db(factory):
    session = factory()
    session.add_all([orm.User(name=name) for name in ("ada", "ben")])
    session.commit()
    yield session
    session.close()


@pytest.fixture
def asked(db):
    found = []
    event.listen(db.get_bind(), "before_cursor_execute", lambda *args: found.append(args[2]))
    return found


def test_somebody_is_asked_for_once(db, asked):
    ada = orm.User.find(db, "ada")
    asked.clear()
    assert orm.User.find(db, "ada") is ada
    assert not [one for one in asked if one != "SELECT 1"]


def test_somebody_with_another_name_is_found_by_that_alone(db):
    ada = orm.User.find(db, "ada")
    ada.name = "countess"
    assert orm.User.find(db, "ada") is None
    db.commit()
    assert orm.User.find(db, "countess") is ada
    ben = orm.User.find(db, "ben")
    ben.name = "ada"
    db.commit()
    assert orm.User.find(db, "ada") is ben


def test_somebody_who_goes_is_not_found(db):
    ada = orm.User.find(db, "ada")
    db.delete(ada)
    assert orm.User.find(db, "ada") is None
    db.commit()
    assert orm.User.find(db, "ada") is None
    again = orm.User(name="ada")
    db.add(again)
    assert orm.User.find(db, "ada") is again


def test_after_a_rollback_the_database_has_the_word(db, factory):
    ada = orm.User.find(db, "ada")
    with factory() as other:
        other.execute(delete(orm.User))
        other.commit()
    db.rollback()
    assert orm.User.find(db, "ada") is None
    assert ada is not None  # held, so that it could have been found


def test_another_session_of_the_database_has_rows_of_its_own(db, factory):
    ada = orm.User.find(db, "ada")
    with factory() as other:
        assert orm.User.find(other, "ada") is not ada
