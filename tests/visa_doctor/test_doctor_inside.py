"""TLS between proxy, hub and sessions, as `visa doctor` sees it."""

import ssl

import pytest
from doctor_servers import telling

from visa_doctor.finding import Verdict
from visa_spawner.inside.making import make


@pytest.fixture
def folder(tmp_path):
    make(tmp_path / "inside", ["127.0.0.1"])
    return tmp_path / "inside"


def tls(folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub.pem", folder / "hub.key")
    return context


def settings(folder, port):
    said = f"c.VisaSite.authority_dir = '{folder}'\n"
    return said + f"c.VisaSpawner.hub_connect_url = 'https://127.0.0.1:{port}'\n"


def test_a_way_that_holds(doctor, folder):
    with telling({"/hub/api/": {"version": "6.1.1"}}, tls=tls(folder)) as port:
        doctor.say(settings(folder, port))
        (told,) = doctor.look("inside")
    assert told.verdict is Verdict.OK
    assert f"Sessions serve TLS, and reach the hub at https://127.0.0.1:{port}, until" in told.what


def test_who_answers_in_the_hubs_place_without_its_certificate(doctor, folder, tmp_path):
    make(tmp_path / "other", ["127.0.0.1"])
    with telling({"/hub/api/": {}}, tls=tls(tmp_path / "other")) as port:
        doctor.say(settings(folder, port))
        (told,) = doctor.wrong("inside")
    assert "Sessions do not reach the hub at" in told and "its certificate is not trusted" in told


def test_a_certificate_for_another_address(doctor, folder):
    (folder / "hub.pem").unlink()
    make(folder, ["192.0.2.1"])
    with telling({"/hub/api/": {}}, tls=tls(folder)) as port:
        doctor.say(settings(folder, port))
        (told,) = doctor.wrong("inside")
    assert "Sessions do not reach the hub at" in told


def test_nobody_listens_there_and_somebody_who_gives_no_api(doctor, folder):
    doctor.say(settings(folder, 9))
    (told,) = doctor.wrong("inside")
    assert "nothing listens there" in told and "none starts" in told
    with telling({}, tls=tls(folder)) as port:
        doctor.say(settings(folder, port))
        (told,) = doctor.wrong("inside")
    assert "the answer is 404" in told


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / "authority.key").unlink(), "the hub does not start: "),
        (lambda folder: (folder / "authority.pem").write_text("nothing"), "the hub does not start: "),
        (lambda folder: (folder / "authority.key").chmod(0o644), "can be read by others (mode 644)"),
        (lambda folder: (folder / "hub.key").chmod(0o640), "they can stand in for the hub"),
        (
            lambda folder: (folder / "hub.pem").write_text("nothing"),
            "certificate for sessions cannot be read",
        ),
    ],
    ids=["no key", "no authority", "open key", "open key of the hub", "no certificate"],
)
def test_files_that_are_amiss(doctor, folder, harm, said):
    with telling({"/hub/api/": {}}, tls=tls(folder)) as port:
        doctor.say(settings(folder, port))
        harm(folder)
        (told,) = doctor.wrong("inside")
    assert said in told


def test_a_certificate_that_ends_soon(doctor, folder, monkeypatch):
    from datetime import timedelta

    (folder / "hub.pem").unlink()
    monkeypatch.setattr("visa_spawner.inside.making.HUB_LIFE", timedelta(days=5))
    make(folder, ["127.0.0.1"])
    with telling({"/hub/api/": {}}, tls=tls(folder)) as port:
        doctor.say(settings(folder, port))
        (told,) = doctor.wrong("inside", verdict=Verdict.WARNING)
    assert "certificate for sessions" in told and "ends in 4 days" in told


def test_plain_sessions_are_well_on_one_machine_and_named_on_others(doctor):
    (told,) = doctor.look("inside")
    assert told.verdict is Verdict.OK and "on this machine alone" in told.what
    node = {"name": "n7", "engine": "tcp://192.0.2.7:2376", "cpus": 1, "memory": "1G", "network": "published"}
    node |= {"address": "192.0.2.7", "tls": {name: f"/etc/{name}" for name in ("ca", "cert", "key")}}
    doctor.say(f"c.ContainerBackend.nodes = [{node!r}]")
    (told,) = doctor.wrong("inside", verdict=Verdict.WARNING)
    assert "Sessions on n7 serve plain HTTP: whoever listens on the way there reads along" in told
