"""Engines on other machines, by ssh and by TLS: stood in for by this one."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import engines
import pytest
from container_support import node, plan, settings

from visa_spawner.backends.engine import Engine, EngineSilent
from visa_spawner.backends.nodes import Node


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def by_ssh(podman, tmp_path, monkeypatch):
    """An sshd of this test's own, and an ssh that knows it: the operator's ~/.ssh/config does this."""
    if not Path("/usr/sbin/sshd").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("missing on this machine: openssh-server")
        pytest.skip("missing on this machine: openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    keys = tmp_path / "authorized"
    keys.write_text((tmp_path / "user.pub").read_text())
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {keys}\n"
        "StrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nUsePAM no\nPidFile none\n"
    )
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -F /dev/null -i {tmp_path}/user "
        f'-o UserKnownHostsFile={tmp_path}/known "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    sshd = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)
    yield f"ssh://root@127.0.0.1:{port}{podman.address.removeprefix('unix://')}"
    sshd.terminate()
    sshd.wait()


async def test_a_session_on_a_node_by_ssh(by_ssh, podman, make_backend):
    backend = make_backend(settings([node(podman) | {"engine": by_ssh}]), plan())
    await backend.start()
    assert await backend.poll() is None
    tunnel = backend.fleet.engine("podman")._tunnel
    # A tunnel that breaks is dug again; what runs is not lost.
    tunnel._process.kill()
    tunnel._process.wait()
    await backend.fleet.look()
    assert await backend.poll() is None
    await backend.stop(now=True)
    assert engines.RunningEngine.containers(podman, engines.HUB) == []
    folder = tunnel._folder
    await backend.fleet.close()
    assert not folder.exists()


async def test_a_node_whose_ssh_refuses_is_silent(by_ssh):
    engine = Engine(Node(name="n", engine=by_ssh.replace("root@", "nobody-here@"), cpus=1, memory="1G"))
    with pytest.raises(EngineSilent, match="Permission denied"):
        await engine.call(lambda client: client.ping())
    engine.close()


@pytest.fixture
def by_tls(docker_engine, tmp_path):
    """Docker's socket behind TLS that asks for a certificate, as its own tcp port with --tlsverify."""

    def run(*command):
        subprocess.run(["openssl", *command], check=True, capture_output=True, cwd=tmp_path)

    for name in ("ca", "other"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    (tmp_path / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name, ca in (("server", "ca"), ("hub", "ca"), ("stranger", "other")):
        run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")  # fmt: skip
        run("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem")  # fmt: skip
    return tmp_path


async def test_an_engine_by_tls_takes_the_hub_and_no_stranger(docker_engine, by_tls, monkeypatch):
    # What an operator's shell may hold, and requests would otherwise follow.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{by_tls}/other.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=by_tls / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(by_tls / "server.pem", by_tls / "server.key")

    async def pipe(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader, writer):
        there = await asyncio.open_unix_connection(docker_engine.address.removeprefix("unix://"))
        await asyncio.gather(pipe(reader, there[1]), pipe(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    def engine(who, ca="ca"):
        tls = {"ca": f"{by_tls}/{ca}.pem", "cert": f"{by_tls}/{who}.pem", "key": f"{by_tls}/{who}.key"}
        return Engine(
            Node(name="n", engine=f"tcp://127.0.0.1:{port}", tls=tls, cpus=1, memory="1G"), timeout=5
        )

    hub, stranger, misled = engine("hub"), engine("stranger"), engine("hub", ca="other")
    assert (await hub.call(lambda client: client.version()))["ApiVersion"]
    for other in (stranger, misled):
        with pytest.raises(EngineSilent):
            await other.call(lambda client: client.version())
    for one in (hub, stranger, misled):
        one.close()
    server.close()
