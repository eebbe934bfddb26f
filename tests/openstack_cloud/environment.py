"""Where OpenStack's services are installed: an environment of its own, since they pin what the hub does too.

    /usr/bin/python3 tests/openstack_cloud/environment.py

Installs Debian's RabbitMQ and what `requirements.txt` lists, all of it pinned, and makes the services'
databases once, which each run copies. In an instant where that has been done. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VENV = ROOT / ".venv-openstack"
REQUIREMENTS = HERE / "requirements.txt"
#: Databases as they are before anything is in them but an administrator.
TEMPLATE = VENV / "databases"
RABBIT = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_MARKER = VENV / ".visa"
#: What is otherwise in what is installed, all of it pinned: a file, what stands there, what is to be.
#: oslo.messaging looks for an answer every half second, and a server that is made waits for ten, one after
#: the other. oslo.db tries again what a database turned back since two changed it at once, but not so SQLite.
_NO = '@filters("postgresql", sqla_exc.OperationalError, r"^.*deadlock detected.*")'
_OTHERWISE = (
    # Its own wait between two looks at the queue, made shorter; what it waits for, and how long, stays.
    ("oslo_messaging/_drivers/amqpdriver.py", "time.sleep(0.5)", "time.sleep(0.02)"),
    (
        "oslo_db/sqlalchemy/exc_filters.py",
        f"\n{_NO}",
        f'\n@filters("sqlite", sqla_exc.OperationalError, r"^.*database is locked.*")\n# As well:\n{_NO}',
    ),
)


def program(name: str) -> str:
    """One of the services' programs."""
    return str(VENV / "bin" / name)


def state() -> str:
    """What the environment should be made of."""
    digest = hashlib.sha256(sys.version.encode())
    for path in (REQUIREMENTS, HERE / "environment.py", HERE / "settings.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def missing() -> str:
    """What lacks for a run; "" for nothing."""
    if not _MARKER.exists():
        return "OpenStack's services: /usr/bin/python3 tests/openstack_cloud/environment.py"
    return "" if os.path.exists(RABBIT) else "rabbitmq-server"


def install() -> None:
    """Have all that a run needs; ends the program in words where that cannot be had."""
    if not os.path.exists(RABBIT):
        sys.path.insert(0, str(ROOT))
        from demo import machine

        if os.geteuid():
            raise SystemExit("rabbitmq-server is missing and only root can install it")
        machine.run(["apt-get", "update", "-q"])
        machine.install(["rabbitmq-server"])
    if _MARKER.exists() and _MARKER.read_text() == state():
        return
    if not (VENV / "bin/python").exists():
        _run("/usr/bin/python3", "-m", "venv", str(VENV))
    # Nothing is looked for: the list is whole.
    pip = ["-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps"]
    # Most of it is never imported: what is, Python compiles then.
    _run(program("python"), *pip, "--no-compile", "-r", str(REQUIREMENTS))
    for file, there, wanted in _OTHERWISE:
        change(file, there, wanted)
    make_databases()
    _MARKER.write_text(state())


def change(file: str, there: str, wanted: str) -> None:
    """Have a line of an installed file read otherwise; harmless when it does. Ends the program without it."""
    (path,) = VENV.glob(f"lib/python3*/site-packages/{file}")
    text = path.read_text()
    if wanted in text:
        return
    if text.count(there) != 1:
        raise SystemExit(f"{path} is not what it was: look for {there.strip()!r}")
    new = path.with_suffix(".new")
    new.write_text(text.replace(there, wanted))
    new.replace(path)


def make_databases() -> None:
    """Make them anew, two at a time: each is a minute's tenth of migrations."""
    sys.path.insert(0, str(ROOT))
    from tests.openstack_cloud.settings import PASSWORD, Places, environment, write

    shutil.rmtree(TEMPLATE, ignore_errors=True)
    places = Places(TEMPLATE)
    write(places)

    own = environment(places)

    def manage(program_name: str, service: str, *words: str) -> None:
        _run(program(program_name), "--config-file", str(places.conf(service)), *words, env=own)

    def keystone() -> None:
        manage("keystone-manage", "keystone", "db_sync")
        manage("keystone-manage", "keystone", "bootstrap", "--bootstrap-password", PASSWORD)

    def nova() -> None:
        manage("nova-manage", "nova", "api_db", "sync")
        manage("nova-manage", "nova", "db", "sync", "--local_cell")

    def neutron() -> None:
        # Its migrations do not know SQLite; what they lead to is its models.
        code = (
            "import sys; from neutron.db.migration.models import head; from sqlalchemy import create_engine;"
        )
        code += "head.get_metadata().create_all(create_engine(sys.argv[1]))"
        _run(program("python"), "-c", code, f"sqlite:///{places.database('neutron')}", env=own)

    work = [
        nova,
        keystone,
        neutron,
        lambda: manage("glance-manage", "glance", "db_sync"),
        lambda: manage("placement-manage", "placement", "db", "sync"),
    ]
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(one) for one in work]:
            done.result()


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise SystemExit(f"{' '.join(command)} failed with code {done.returncode}:\n{said}")


if __name__ == "__main__":
    install()
