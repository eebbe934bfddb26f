"""What backends tell of goes into the audit log."""

from types import SimpleNamespace

import pytest
from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from traitlets.config import Config

from visa_sharing import backends
from visa_sharing.database import Event
from visa_sharing.schema import upgrade
from visa_spawner.site import VisaSite

SAID = {
    "owner": "alice",
    "session": "tooth",
    "address": "10.1.0.6",
    "machine": "visa-here-1",
    "why": "too late",
}


@pytest.fixture
def factory(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    orm.Base.metadata.create_all(engine)
    upgrade(engine)
    yield sessionmaker(engine, expire_on_commit=False)
    engine.dispose()


def test_every_backend_is_given_the_log_and_writes_into_it(factory, monkeypatch):
    class Backend:
        @classmethod
        def audit_by(cls, tell, config):
            tell("claim-refused", **SAID)
            tell("claim-refused", **SAID | {"owner": "", "session": "", "machine": ""})

    site = SimpleNamespace(used_backends=lambda: {"vm": Backend})
    monkeypatch.setattr(VisaSite, "of", lambda config: site)
    backends.begin(factory, Config())
    with factory() as db:
        one, two = db.query(Event).all()
    assert (one.what, one.owner, one.session, one.address) == ("claim-refused", "alice", "tooth", "10.1.0.6")
    assert one.details == {"machine": "visa-here-1", "why": "too late"} and two.owner == ""


def test_what_does_not_fit_is_in_the_hubs_log_and_stops_nobody(factory, caplog):
    backends.tell(factory, "claim-refused", **SAID | {"address": ""})
    with factory() as db:
        assert not db.query(Event).count()
    assert "could not be written" in caplog.text
