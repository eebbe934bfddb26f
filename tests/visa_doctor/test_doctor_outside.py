"""What the doctor asks of others: names, certificate, identity provider, clocks, database, catalogue."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from doctor_servers import DAY, Authority, over_tls, telling
from postgres import cluster

from visa_doctor.finding import Verdict

# Names ------------------------------------------------------------------------------------------------


def test_a_name_that_nobody_knows(doctor, monkeypatch):
    monkeypatch.setenv("VISA_URL", "http://visa.facility.invalid:8000")
    assert doctor.wrong("names") == [
        "names: The name visa.facility.invalid is not known: nobody finds the site."
    ]


def test_a_site_without_a_name(doctor, monkeypatch):
    monkeypatch.setenv("VISA_URL", "http://127.0.0.1:8000")
    (told,) = doctor.wrong("names")
    assert "only the address 127.0.0.1: there are no names below it" in told


def test_names_below_that_lead_nowhere_or_elsewhere(doctor, monkeypatch):
    """This machine's resolver has no such names to give: the lookup itself is stood in for."""
    from visa_doctor.checks import names

    known = {"visa.facility.eu": {"192.0.2.1"}}
    monkeypatch.setenv("VISA_URL", "https://visa.facility.eu")
    monkeypatch.setattr(names, "_addresses", lambda name: known.get(name, known.get("*", set())))
    (told,) = doctor.wrong("names")
    assert "visa.facility.eu is known and names below it are not" in told
    known["*"] = {"192.0.2.9"}
    (told,) = doctor.wrong("names")
    assert told == "names: visa.facility.eu leads to 192.0.2.1, and names below it to 192.0.2.9."
    known["*"] = {"192.0.2.1"}
    assert doctor.wrong("names") == []


def test_an_address_that_nobody_knows_follows_from_the_names(doctor, monkeypatch):
    monkeypatch.setenv("VISA_URL", "http://visa.facility.invalid:8000")
    found = [one for one in doctor.look("address") if one.verdict is Verdict.WRONG]
    assert {one.because for one in found} == {"names"} and "its name is not known here" in found[0].what


def test_an_address_where_something_else_answers(doctor, monkeypatch):
    with telling({}) as port:
        monkeypatch.setenv("VISA_URL", f"http://localhost:{port}")
        told = doctor.wrong("address")
    assert f"address: http://localhost:{port}/hub/health answers 404: it is not the hub that answers." in told


# Certificates -----------------------------------------------------------------------------------------
@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.path))
    return made


BOTH = ["localhost", "*.localhost"]


@pytest.mark.parametrize(
    ("names", "times", "verdict", "said"),
    [
        (BOTH, {}, Verdict.OK, "holds for localhost and all below it, until"),
        (BOTH, {"begins": -90 * DAY, "ends": -DAY}, Verdict.WRONG, "The site's certificate ended on"),
        (BOTH, {"ends": 5 * DAY}, Verdict.WARNING, "The site's certificate ends in 4 days, on"),
        (BOTH, {"begins": DAY}, Verdict.WRONG, "The site's certificate holds from"),
        (["localhost"], {}, Verdict.WRONG, "does not hold for *.localhost, where portal and sessions are"),
        (
            ["visa.facility.eu"],
            {},
            Verdict.WRONG,
            "does not hold for localhost: it holds for visa.facility.eu",
        ),
    ],
)
def test_a_certificate(doctor, monkeypatch, authority, names, times, verdict, said):
    with over_tls(*authority.certificate(names, **times)) as port:
        monkeypatch.setenv("VISA_URL", f"https://localhost:{port}")
        (told,) = doctor.look("certificates")
    assert told.verdict is verdict
    assert said in told.what


def test_a_certificate_that_nobody_believes(doctor, monkeypatch, authority):
    monkeypatch.delenv("SSL_CERT_FILE")
    with over_tls(*authority.certificate(BOTH)) as port:
        monkeypatch.setenv("VISA_URL", f"https://localhost:{port}")
        (told,) = doctor.wrong("certificates")
    assert "is not believed on this machine" in told


def test_one_that_nobody_believes_and_that_ends_soon_is_both(doctor, monkeypatch, authority):
    monkeypatch.delenv("SSL_CERT_FILE")
    with over_tls(*authority.certificate(BOTH, ends=5 * DAY)) as port:
        monkeypatch.setenv("VISA_URL", f"https://localhost:{port}")
        found = doctor.look("certificates")
    assert [one.verdict for one in found] == [Verdict.WARNING, Verdict.WRONG]
    assert "ends in 4 days" in found[0].what and "is not believed on this machine" in found[1].what


# Login and clocks -------------------------------------------------------------------------------------
def discovery(address, **changes):
    ends = {
        name: f"{address}/{name}"
        for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
    }
    return {
        "issuer": address,
        **ends,
        "jwks_uri": f"{address}/keys",
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "facility"],
        "backchannel_logout_supported": True,
    } | changes


@pytest.mark.parametrize(
    ("changes", "keys", "said"),
    [
        ({"issuer": "http://localhost/other"}, 1, "its discovery document names another issuer"),
        ({"token_endpoint": "http://login.facility.eu/token"}, 1, "token_endpoint must be an https address"),
        ({"code_challenge_methods_supported": ["plain"]}, 1, "does not support PKCE by S256"),
        ({}, 0, "The provider shows no keys at"),
        ({"jwks_uri": "http://127.0.0.1:9/keys"}, 1, "does not answer"),
    ],
)
def test_what_a_provider_says_of_itself(doctor, monkeypatch, changes, keys, said):
    documents = {"/keys": {"keys": [{"kty": "RSA"}] * keys}}
    with telling(documents) as port:
        issuer = f"http://127.0.0.1:{port}"
        documents["/.well-known/openid-configuration"] = discovery(issuer, **changes)
        monkeypatch.setenv("VISA_ISSUER", issuer)
        (told,) = doctor.wrong("login")
    assert said in told


def test_a_provider_that_is_not_there(doctor, monkeypatch):
    monkeypatch.setenv("VISA_ISSUER", "http://127.0.0.1:9")
    found = doctor.look("login", "clock")
    (told,) = [one for one in found if one.verdict is Verdict.WRONG]
    assert (told.check, "Who is logged in stays so, and sessions run on" in told.what) == ("login", True)
    (follows,) = [one for one in found if one.verdict is Verdict.UNCHECKED]
    assert (follows.check, follows.because) == ("clock", "login")


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [(0, Verdict.OK), (10, Verdict.WARNING), (-3600, Verdict.WRONG), (3600, Verdict.WRONG)],
)
def test_a_clock_that_is_not_the_providers(doctor, monkeypatch, ahead, verdict):
    with telling({"/.well-known/openid-configuration": {}}, ahead) as port:
        monkeypatch.setenv("VISA_ISSUER", f"http://127.0.0.1:{port}")
        (told,) = [one for one in doctor.look("clock") if one.about]
    assert told.verdict is verdict
    assert ("behind the one there" in told.what) == (ahead > 0)


# Database ---------------------------------------------------------------------------------------------
@pytest.fixture
def copy(site, doctor):
    """A copy of the hub's database that the doctor looks at, and a way to change it."""
    path = doctor.folder / "hub.sqlite"
    with closing(sqlite3.connect(site.folder / "hub.sqlite")) as one, closing(sqlite3.connect(path)) as other:
        one.backup(other)
    doctor.say(f"c.JupyterHub.db_url = 'sqlite:///{path}'")

    def change(statement: str) -> None:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(statement)

    return change


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "UPDATE alembic_version SET version_num = '4621fec11365'",
            "JupyterHub's tables are of an older version",
        ),
        ("UPDATE alembic_version SET version_num = 'from2031'", "JupyterHub's tables are of a newer version"),
        (
            "UPDATE visa_alembic_version SET version_num = '0001'",
            "VISA's tables are of an older version (0001, not",
        ),
        ("DROP TABLE visa_alembic_version", "The database has none of VISA's tables."),
    ],
)
def test_tables_of_another_version(doctor, copy, statement, said):
    copy(statement)
    (told,) = doctor.wrong("database")
    assert said in told


def test_no_database_yet(doctor):
    doctor.say("c.JupyterHub.db_url = 'sqlite:////nowhere/hub.sqlite'")
    (told,) = doctor.wrong("database", verdict=Verdict.WARNING)
    assert told == "database: There is no database /nowhere/hub.sqlite yet."


def test_postgresql_that_answers_and_one_that_does_not(doctor):
    with cluster() as database:
        url = database()
        doctor.say(f"c.JupyterHub.db_url = {url!r}")
        # It answers, and nobody has made tables in it.
        assert doctor.wrong("database") == [
            "database: The database has none of JupyterHub's tables.",
            "database: The database has none of VISA's tables.",
        ]
    (told,) = doctor.wrong("database")
    assert told.startswith("database: The database does not answer (")
    assert "The hub that runs stands still with it; sessions run on" in told


# Catalogue --------------------------------------------------------------------------------------------
@pytest.fixture
def catalogue(site):
    """A way to have other experiments for a test."""
    yield site.write_catalogue
    site.write_catalogue([site.experiment("ma-1")])
    for name in ("ma-2", "ma-3"):
        shutil.rmtree(site.folder / "visitor" / name, ignore_errors=True)


def test_a_mistake_in_the_catalogue(site, doctor, catalogue):
    catalogue([site.experiment("ma-1", begin="2026-01-01")])
    (told,) = doctor.wrong("catalogue")
    assert told.startswith(f"catalogue: {site.folder}/experiments.yaml, line ")
    assert "begin" in told


def test_a_directory_that_anybody_may_swap(site, doctor, catalogue):
    catalogue([site.experiment("ma-1"), site.experiment("ma-2")])
    above = site.folder / "visitor/ma-2"
    above.chmod(0o777)
    (told,) = doctor.wrong("catalogue")
    assert f"do not start: ma-2 ({above} is writable by everyone)" in told


def test_a_link_on_the_way(site, doctor, catalogue):
    two = site.experiment("ma-2")
    (site.folder / "visitor/ma-3").symlink_to(site.folder / "visitor/ma-2")
    try:
        catalogue([site.experiment("ma-1"), two | {"raw": two["raw"].replace("ma-2", "ma-3")}])
        (told,) = doctor.wrong("catalogue")
    finally:
        (site.folder / "visitor/ma-3").unlink()
    assert "/visitor/ma-3: is a symbolic link" in told


def test_directories_that_are_missing(site, doctor, catalogue):
    two, three = site.experiment("ma-2"), site.experiment("ma-3", start="2020-01-01", end="2020-01-02")
    catalogue([site.experiment("ma-1"), two, three])
    shutil.rmtree(site.folder / "visitor/ma-3")  # long ago: on tape
    assert doctor.wrong("catalogue") == []
    shutil.rmtree(two["processed"])
    (told,) = doctor.wrong("catalogue")
    assert "since a directory is missing: ma-2 (" in told
    shutil.rmtree(two["raw"])
    assert doctor.wrong("catalogue") == []
    (told,) = doctor.wrong("catalogue", verdict=Verdict.WARNING)
    assert "The data of recent experiments are not on disk here: ma-2" in told
    catalogue([two])
    (told,) = doctor.wrong("catalogue")
    assert "The data of no experiment are there" in told
