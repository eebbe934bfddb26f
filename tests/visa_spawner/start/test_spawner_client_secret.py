"""A session's secret at the hub's OAuth provider: its token opens it, nothing else does, at no cost."""

import pytest
from jupyterhub import orm
from jupyterhub.oauth.provider import JupyterHubOAuthServer, make_provider
from jupyterhub.utils import compare_token, new_token
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

from visa_spawner.start import client_secret


@pytest.fixture
def provider(tmp_path, monkeypatch):
    monkeypatch.setattr(JupyterHubOAuthServer, "add_client", JupyterHubOAuthServer.add_client)
    client_secret.join_hub()
    engine = create_engine(f"sqlite:///{tmp_path}/hub.sqlite")
    orm.Base.metadata.create_all(engine)
    return make_provider(sessionmaker(bind=engine), "/hub/api/oauth2", "/hub/login")


def rounds(client):
    return int(client.secret.split(":")[1])


def test_a_sessions_token_is_hashed_once(provider):
    token = new_token()
    client = provider.add_client("jupyterhub-user-ada-tooth", token, "/callback")
    assert rounds(client) == 1
    assert token not in client.secret
    assert compare_token(client.secret, token)
    assert not compare_token(client.secret, new_token())
    provider.db.commit()
    again = new_token()
    assert provider.add_client("jupyterhub-user-ada-tooth", again, "/callback") is client
    assert (compare_token(client.secret, again), compare_token(client.secret, token)) == (True, False)


def test_what_people_have_thought_of_is_hashed_as_ever(provider):
    assert rounds(provider.add_client("service-visa", "geheim", "/callback")) > 10_000
    assert provider.add_client("jupyterhub-user-ada", "", "/callback").secret == ""
