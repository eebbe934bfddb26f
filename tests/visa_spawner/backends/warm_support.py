"""An image whose `visa-session` is the real one, but for its server: that runs a script and answers.

The standard library of this machine's Python is in it, since that is all that the real one needs to wait.
"""

import subprocess
import sys
import sysconfig
import tarfile
from io import BytesIO
from pathlib import Path

import docker
import engines
from container_support import node, plan, settings, until

import visa_session
from visa_spawner.backends.container import ContainerBackend
from visa_spawner.backends.fleet import Fleet
from visa_spawner.session import Bind, Person, Resources, WarmPair

RECIPE = "warm-test"
IMAGE = f"localhost/visa/{RECIPE}:latest"
PROFILE, PLAN = "general", "small"

#: Stands in for the server: `SCRIPT` of the environment is run, what it says is the session's log.
SERVER = """
import http.server, os, subprocess, sys, threading, time, urllib.request
def import_all():
    pass
def serve(info, socket, runtime, token):
    socket.listen()
    print("session of", os.environ["JUPYTERHUB_USER"], flush=True)
    if "SCRIPT" in os.environ:
        subprocess.Popen(["sh", "-c", os.environ["SCRIPT"]])
    server = http.server.HTTPServer(socket.getsockname(), http.server.SimpleHTTPRequestHandler, False)
    server.socket.close()
    server.socket = socket
    socket.setblocking(True)
    threading.Thread(target=tell, args=(socket.getsockname()[1], token), daemon=True).start()
    server.serve_forever()
def tell(port, token):
    while "JUPYTERHUB_API_URL" in os.environ:
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        url = os.environ["JUPYTERHUB_API_URL"] + "/visa/ready"
        request = urllib.request.Request(url, b'{"port": %d}' % port, headers)
        try:
            urllib.request.urlopen(request, timeout=5)
            return
        except OSError:
            time.sleep(0.1)  # the hub may be away: as the real one asks again
"""

#: The modules that need more than the standard library, as far as waiting goes.
STAND_INS = {"server.py": SERVER, "schemas.py": "def check_beforehand():\n    pass\n"}

COMMAND = """#!/usr/bin/python3 -I
import sys
sys.path.insert(0, "/opt/visa/source")
from visa_session.start import main
main()
"""
_LEFT_OUT = {"test", "idlelib", "lib2to3", "pydoc_data", "ensurepip", "distutils", "tkinter", "config-3.11",
             "__pycache__", "dist-packages", "site-packages", "turtledemo", "unittest"}  # fmt: skip


def image_tar() -> bytes:
    """The test image of the other tests, with Python and `visa_session` on it."""
    buffer = BytesIO(engines.image_tar())
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        library = Path(sysconfig.get_path("stdlib"))
        python = Path(sys.executable).resolve()
        _add(tar, "usr/bin/python3", python)
        tar.add(library, str(library).lstrip("/"), filter=_kept)
        for path in {
            path for part in (python, *library.glob("lib-dynload/_ctypes.*")) for path in _needed(part)
        }:
            _add(tar, str(path).lstrip("/"), path)
        tar.add(Path(visa_session.__file__).parent, "opt/visa/source/visa_session", filter=_python_alone)
        for name, text in STAND_INS.items():
            _text(tar, f"opt/visa/source/visa_session/{name}", text)
        _text(tar, "usr/bin/visa-session", COMMAND)
    return buffer.getvalue()


def _kept(entry):
    return None if _LEFT_OUT & set(entry.name.split("/")) else _roots(entry)


def _python_alone(entry):
    wanted = entry.name.endswith(".py") and entry.name.rpartition("/")[2] not in STAND_INS
    return _roots(entry) if entry.isdir() or wanted else None


def _roots(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _add(tar, name, path):
    entry = tarfile.TarInfo(name)
    data = path.read_bytes()
    entry.size, entry.mode = len(data), 0o755
    tar.addfile(entry, BytesIO(data))


def _text(tar, name, text):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text.encode()), 0o755
    tar.addfile(entry, BytesIO(text.encode()))


def _needed(program):
    said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return {Path(word) for line in said.splitlines() for word in line.split() if word.startswith("/lib")}


def add_image(engine) -> None:
    """Give the image to an engine, once."""
    try:
        engine.client.inspect_image(IMAGE)
    except docker.errors.ImageNotFound:
        engine.client.import_image_from_data(image_tar(), repository=IMAGE.rpartition(":")[0], tag="latest")


def a_person(owner="alice", uid=5001):
    return Person(owner, uid, uid, (6001, 6002), f"/data/home/{owner}")


#: What the parts of a plan are in these tests.
CPUS, MEMORY = 0.5, 300 << 20


def settings_for(engine, **others):
    """Settings of one node with memory for waiting containers."""
    fields = others.pop("node", {})
    return settings([node(engine, **fields)], **({"warm_memory": "1G", "warm_most": 2} | others))


def a_pair(**fields):
    return WarmPair(PROFILE, PLAN, fields.pop("image", RECIPE), Resources(CPUS, MEMORY), **fields)


def a_session(home, key="alice/first", script="", person=None, binds=(), **fields):
    """The plan of a session on the pair, with a home."""
    person = person or a_person(key.partition("/")[0])
    environment = {"HOME": person.home, **fields.pop("environment", {})} | (
        {"SCRIPT": script} if script else {}
    )
    made = plan(
        key,
        ("visa-session",),
        binds=[Bind(str(home), person.home, False, person.home), *binds],
        image=RECIPE,
        cpus=CPUS,
        memory=MEMORY,
        person=person,
        environment=environment,
        **fields,
    )
    made.labels.update({"visa.session": key, "visa.profile": PROFILE, "visa.plan": PLAN})
    return made


async def one_waits(config, count=1, pairs=None, starts=()):
    """Have containers wait, and give them once so many do."""
    fleet = Fleet.of(config)
    fleet.start()
    if pairs is None:
        pairs = [a_pair()]
    ContainerBackend.keep_waiting(pairs, starts, config)
    pool = fleet.warm.pool
    await until(lambda: len(pool.waiting) == count and not pool.working, 40)
    return list(pool.waiting.values())
