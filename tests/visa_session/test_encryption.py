"""A session that serves TLS: from its word that it listens, with the certificate that it gets for that."""

import json
import ssl
import subprocess

import httpx
import psutil
import pytest

from visa_session.contract import AUTHORITY_VARIABLE
from visa_spawner.inside.authority import Authority
from visa_spawner.inside.making import make

from .hubside import wait_until
from .launch import HubDoor, Launched

NAME = "alice.visa.test"
PAGE = "/user/alice/byhand/api"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inside")
    make(folder, [])
    return Authority.read(folder)


@pytest.fixture
def door(authority):
    door = HubDoor()
    door.sign = lambda request: json.dumps({"certificate": authority.sign(request, NAME)})
    yield door
    door.close()


@pytest.fixture
def launch(door, authority):
    launched = []

    def start() -> Launched:
        launched.append(Launched(door.port, **{AUTHORITY_VARIABLE: authority.pem}).start())
        return launched[-1]

    yield start
    for one in launched:
        one.close()


def asked(port: int, trusting: ssl.SSLContext, name: str = NAME) -> httpx.Response:
    """Its page, as the proxy asks for it: at an address, for a name."""
    extensions = {"sni_hostname": name}
    with httpx.Client(verify=trusting) as http:
        return http.get(f"https://127.0.0.1:{port}{PAGE}", extensions=extensions, headers={"Host": name})


def test_it_serves_tls_with_its_persons_name_and_nothing_else(door, launch, authority):
    launched = launch()
    wait_until(lambda: "Ready on port" in launched.said, 20)
    (told,) = door.heard
    assert set(told) == {"port", "token", "request"}
    trusting = ssl.create_default_context(cadata=authority.pem)
    assert asked(told["port"], trusting).status_code == 200
    with pytest.raises(httpx.ConnectError, match="mismatch"):
        asked(told["port"], trusting, "bob.visa.test")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(f"http://127.0.0.1:{told['port']}{PAGE}")
    old = ssl.create_default_context(cadata=authority.pem)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((httpx.ConnectError, httpx.ReadError)):
        asked(told["port"], old)


def test_who_comes_before_the_certificate_waits_and_is_answered_by_tls(door, launch, authority):
    """Nobody is answered in plain meanwhile: the proxy may be quicker than the hub's answer."""
    door.answers = [503, 503, 503, 200]
    launched = launch()
    wait_until(lambda: door.heard, 20, launched.said)
    port = door.heard[0]["port"]
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"http://127.0.0.1:{port}{PAGE}", timeout=0.2)
    trusting = ssl.create_default_context(cadata=authority.pem)
    assert asked(port, trusting).status_code == 200
    assert len({told["request"] for told in door.heard}) <= len(door.heard)
    assert len(door.heard) == 4


def test_its_key_is_in_no_file_that_stays(door, launch):
    launched = launch()
    wait_until(lambda: "Ready on port" in launched.said, 20)
    processes = [psutil.Process(launched.process.pid)]
    processes += processes[0].children(recursive=True)
    for process in processes:
        assert "PRIVATE KEY" not in "".join(process.environ().values())
        assert not [file for file in process.open_files() if "certificate" in file.path]
    (runtime,) = {process.environ().get("XDG_RUNTIME_DIR") for process in processes} - {None} or {""}
    for folder in filter(None, (runtime, str(launched.home))):
        found = subprocess.run(["grep", "-rl", "PRIVATE KEY", folder], capture_output=True, text=True)
        assert found.stdout == ""


@pytest.mark.parametrize(
    "answer", ["", "not json", "[]", '{"key": "x"}', '{"certificate": "x"}', "another key's"]
)
def test_a_hub_that_gives_no_certificate_of_its_own_ends_it(door, launch, authority, answer):
    from visa_session.encryption import Encryption

    if answer == "another key's":
        other = Encryption(authority.pem).request()
        answer = json.dumps({"certificate": authority.sign(other, NAME)})
    door.sign = lambda request: answer
    launched = launch()
    assert launched.process.wait(20) == 1
    assert "certificate" in launched.said


def test_a_hub_without_that_call_ends_it_too(door, launch):
    door.answers = [404]
    launched = launch()
    assert launched.process.wait(20) == 1
    assert "The hub signs no certificates (404)" in launched.said


def test_it_believes_no_hub_but_one_of_its_authority(launch, authority, tmp_path, door):
    """Whoever answers at the hub's address, with a certificate that the whole world trusts."""
    make(tmp_path / "other", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "other/hub.pem", tmp_path / "other/hub.key")
    door.server.socket = context.wrap_socket(door.server.socket, server_side=True)
    url = f"https://127.0.0.1:{door.port}/hub/api"
    trusted = {"SSL_CERT_FILE": str(tmp_path / "other/authority.pem"), "JUPYTERHUB_API_URL": url}
    launched = Launched(door.port, **{AUTHORITY_VARIABLE: authority.pem}, **trusted).start()
    try:
        wait_until(lambda: "trying again" in launched.said, 20, launched.said)
        assert "CERTIFICATE_VERIFY_FAILED" in launched.said
        assert not door.heard
    finally:
        launched.close()


def test_it_speaks_tls_to_a_hub_that_has_it(authority, tmp_path, door):
    """The hub's API by HTTPS, with a certificate of the authority: all of its calls go there."""
    folder = tmp_path / "inside"
    make(folder, ["127.0.0.1"])
    own = Authority.read(folder)
    door.sign = lambda request: json.dumps({"certificate": own.sign(request, NAME)})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "hub.pem", folder / "hub.key")
    door.server.socket = context.wrap_socket(door.server.socket, server_side=True)
    url = f"https://127.0.0.1:{door.port}/hub/api"
    known = {AUTHORITY_VARIABLE: own.pem, "JUPYTERHUB_API_URL": url}
    launched = Launched(door.port, **known).start()
    try:
        wait_until(lambda: "Ready on port" in launched.said, 20)
        assert "CERTIFICATE_VERIFY_FAILED" not in launched.said
        trusting = ssl.create_default_context(cadata=own.pem)
        assert asked(door.heard[0]["port"], trusting).status_code == 200
    finally:
        launched.close()
