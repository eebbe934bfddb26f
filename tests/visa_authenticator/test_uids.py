"""The register of uids, and the settings that are refused before the hub starts."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from visa_authenticator import VisaAuthenticator
from visa_authenticator.uids import UidRegister, UidTaken


def test_a_uid_has_one_holder_across_restarts(tmp_path):
    file = tmp_path / "uids.sqlite"
    register = UidRegister(file)
    register.claim("ada", 2001)
    register.claim("ada", 2001)
    register.close()
    register = UidRegister(file)
    assert register.uid_of("ada") == 2001
    with pytest.raises(UidTaken, match="held by ada"):
        register.claim("bob", 2001)
    assert register.uid_of("bob") is None
    register.claim("ada", 2002)
    register.claim("bob", 2001)
    register.forget("bob")
    register.claim("eve", 2001)
    assert file.stat().st_mode & 0o777 == 0o600


def test_claims_at_the_same_time_have_one_winner_each(tmp_path):
    def claim(name):
        register, won = UidRegister(tmp_path / "uids.sqlite"), 0
        for uid in range(5000, 5020):
            try:
                register.claim(f"{name}-{uid}", uid)
                won += 1
            except UidTaken:
                pass
        return won

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(claim, ["a", "b"])) == 20


@pytest.fixture
def login(tmp_path, monkeypatch):
    """An authenticator with good settings but for those given."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OAUTH_CLIENT_SECRET", raising=False)
    good = {"issuer": "https://login.example", "client_id": "visa", "client_secret": "s"}
    return lambda **settings: VisaAuthenticator(**{**good, **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"issuer": ""}, "needs issuer and client_id"),
        ({"issuer": "http://login.example"}, "issuer must be an https address"),
        ({"issuer": "http://localhost.example"}, "issuer must be an https address"),
        ({"client_secret": ""}, "no client secret"),
        ({"client_secret_file": "missing"}, "client_secret_file missing cannot be read"),
        ({"enable_pkce": False}, "enable_pkce cannot be changed"),
        ({"enable_auth_state": False}, "enable_auth_state cannot be changed"),
        ({"manage_groups": False}, "manage_groups cannot be changed"),
        ({"claim_names": {"shoe_size": "x"}}, "shoe_size is no part of an account"),
        ({"role_names": {"king": "owner"}}, "owner is no role"),
        ({"username_pattern": "["}, "no regular expression"),
        ({"uid_floor": 0}, "uid_floor.*less than 1"),
    ],
)
def test_bad_settings_are_refused_by_name(login, settings, said):
    with pytest.raises(Exception, match=said):
        login(**settings)


def test_the_secret_comes_from_the_environment_or_a_closed_file(login, tmp_path, monkeypatch):
    file = tmp_path / "secret"
    file.write_text("from file\n")
    for mode in (0o644, 0o604, 0o620, 0o602):
        file.chmod(mode)
        with pytest.raises(ValueError, match="is open to others"):
            login(client_secret_file=str(file))
    for mode in (0o600, 0o640):
        file.chmod(mode)
        assert login(client_secret_file=str(file)).client_secret == "from file"
    os.truncate(file, 0)
    with pytest.raises(ValueError, match="is empty"):
        login(client_secret_file=str(file))
    monkeypatch.setenv("OAUTH_CLIENT_SECRET", "from environment")
    good = {"issuer": "http://login.localhost:9", "client_id": "visa"}
    assert VisaAuthenticator(**good).client_secret == "from environment"
