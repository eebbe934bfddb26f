import pytest
from jupyterhub import orm
from postgres import cluster
from sharing_hub import a_sharing_hub
from sqlalchemy import create_engine

from visa_sharing.schema import upgrade


@pytest.fixture(scope="module")
def hub():
    """One hub for a module's tests. It looks at nothing by itself: what it tells, it was told by a commit."""
    with a_sharing_hub({"refresh_seconds": 3600, "trust_seconds": 6}) as hub:
        yield hub


@pytest.fixture(scope="session")
def postgres():
    """Makes an empty database on a PostgreSQL of the tests' own, and gives its address."""
    with cluster() as database:
        yield database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """An empty database, of each kind that a hub may have."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/hub.sqlite"
    return request.getfixturevalue("postgres")()


@pytest.fixture
def hub_engine(database_url):
    """A database with the hub's own tables."""
    engine = create_engine(database_url)
    if database_url.startswith("sqlite"):
        orm.register_foreign_keys(engine)
    orm.Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def our_engine(hub_engine):
    upgrade(hub_engine)
    return hub_engine
