"""The port of claims, what is exported before a claim is used, and what the exporting program is given."""

import asyncio
import json
import logging
import resource
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from plain_nova import Nova, Provider

from visa_spawner.backends.vm.openstack import data
from visa_spawner.backends.vm.openstack.claims import SHOWN, USED, Claims, Kept, digest
from visa_spawner.backends.vm.openstack.listener import Fewer, Listener, fingerprint, most_of_all
from visa_spawner.backends.vm.provider import NotTaken, Refused, Silent
from visa_spawner.session import Bind, Person

ALICE = Person("alice", 20001, 20001, (30001,), "/home/alice")
CLAIM = "c" * 43


def certificate(folder):
    paths = [str(folder / name) for name in ("claim.crt", "claim.key")]
    asked = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=visa"
    words = [*asked.split(), "-keyout", paths[1], "-out", paths[0]]
    subprocess.run(words, check=True, capture_output=True, timeout=30)
    return paths


def free_port():
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return line.getsockname()[1]


def post(port, place, question):
    context = ssl._create_unverified_context()
    body = json.dumps(question).encode()
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{place}", body, 10, context=context) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


# The port ---------------------------------------------------------------------------------------
async def test_what_strangers_send_makes_no_traceback_and_the_pin_is_what_is_served(tmp_path, caplog):
    class Broken:
        async def find(self, digest):
            raise RuntimeError("a fault of ours")

    paths, port = certificate(tmp_path), free_port()
    listener = Listener(
        Claims(Broken(), lambda *said: None),
        host="127.0.0.1",
        port=port,
        certificate=paths[0],
        key=paths[1],
    )
    served = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
    (tmp_path / "served.crt").write_text(served)
    certificate(tmp_path)  # renewed while the port is open
    assert listener.fingerprint == fingerprint(str(tmp_path / "served.crt")) != fingerprint(paths[0])
    answers = [
        await asyncio.to_thread(post, port, place, question)
        for place, question in [
            ("/claim", {"claim": "\ud800"}),
            ("/claim", {"claim": ["x"]}),
            ("/taken", {"receipt": "\ud800" * 43, "answer": {}}),
            ("/claim", {"claim": CLAIM}),
        ]
    ]
    listener.close()
    assert answers == [403, 403, 403, 503]
    said = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.exc_info for record in said] == [None] and "a fault of ours" in said[0].getMessage()


def test_handshakes_that_fail_are_told_once_a_minute_and_nothing_else_less():
    def record(text):
        return logging.LogRecord("tornado.general", logging.WARNING, "", 0, text, (), None)

    fewer = Fewer()
    told = [fewer.filter(record(text)) for text in ["SSL Error on %s %s: %s"] * 3 + ["Another"] * 2]
    assert told == [True, False, False, True, True]


def test_strangers_leave_the_hub_files_to_open(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 4096))
    assert most_of_all() == 256
    monkeypatch.setattr(resource, "getrlimit", lambda what: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert most_of_all() == 512


# What is exported -------------------------------------------------------------------------------
@pytest.fixture
def handed(tmp_path):
    """A machine that waits, a program that exports and says so, and how to hand the machine over."""
    nova, told = Nova(), tmp_path / "told"
    name = nova.add(1)
    (server,) = nova.servers.values()
    server["metadata"]["visa-claim"] = Kept(digest(CLAIM), 2**40, SHOWN).text()
    server["addresses"] = {"visa": [{"version": 4, "addr": "10.1.0.99"}]}  # as nova has it, from before
    nova.ports = [{"fixed_ips": [{"ip_address": "10.1.0.5"}]}]
    provider = Provider(nova, tmp_path, hand_over_timeout=1, nfs={"/home": "192.0.2.2:/home"})
    provider.exports_command = ["/bin/sh", "-c", f"cat > {told}"]

    async def hand_over():
        home = Bind(str(tmp_path), "/home/alice", False, "/home/alice")
        await provider.list()
        showing = asyncio.create_task(provider._claims.show(CLAIM, "10.1.0.5"))
        async with asyncio.timeout(5):
            while not provider._claims.waits(name):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0)
        try:
            await provider.hand_over(name, ALICE, [home], {})
        finally:
            showing.cancel()

    yield nova, provider, name, told, hand_over
    provider.close()


async def test_data_are_exported_to_where_the_claim_came_from(handed):
    nova, provider, name, told, hand_over = handed
    with pytest.raises(NotTaken, match="no answer within"):
        await hand_over()
    assert json.loads(told.read_text())["address"] == "10.1.0.5"
    assert provider.kept(name).state == USED


async def test_nothing_is_exported_to_an_address_that_is_the_machines_no_more(handed):
    nova, provider, name, told, hand_over = handed
    real = provider.addresses

    async def moved(machine):
        found = await real(machine)
        nova.ports = [{"fixed_ips": [{"ip_address": "10.1.0.6"}]}]
        return found

    provider.addresses = moved
    with pytest.raises(NotTaken, match="another address"):
        await hand_over()
    assert not told.exists()


async def test_a_claim_stands_when_its_data_could_not_be_exported(handed):
    nova, provider, name, told, hand_over = handed
    provider.exports_command = ["/bin/sh", "-c", "echo no >&2; exit 1"]
    with pytest.raises(Refused, match="no"):
        await hand_over()
    assert provider.kept(name).state == SHOWN


# The program ------------------------------------------------------------------------------------
async def test_the_exporting_program_gets_nothing_of_the_hubs_secrets(monkeypatch, tmp_path):
    monkeypatch.setenv("JUPYTERHUB_CRYPT_KEY", "secret")
    told = tmp_path / "told"
    await data.take_back(["/bin/sh", "-c", f"(env; pwd) > {told}"], {"192.0.2.2"}, "visa-x")
    assert "secret" not in told.read_text() and told.read_text().endswith("\n/\n")


async def test_one_that_hangs_is_ended_with_all_that_it_began(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "_PATIENCE", 0.5)
    pid = tmp_path / "pid"
    command = ["/bin/sh", "-c", f"sleep 60 & echo $! > {pid}; wait"]
    with pytest.raises(Refused, match="did not answer in 0.5"):
        await data.take_back(command, {"192.0.2.2"}, "visa-x")
    child = int(pid.read_text())
    async with asyncio.timeout(5):
        while True:  # until whoever inherits it has seen its end
            try:
                with open(f"/proc/{child}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "Z":
                        break
            except FileNotFoundError:
                break
            await asyncio.sleep(0.05)


async def test_a_machine_is_made_only_while_the_port_is_open(tmp_path):
    provider = Provider(Nova(), tmp_path)
    with pytest.raises((Refused, Silent), match="not open"):
        await provider.create(None)
    provider.close()
