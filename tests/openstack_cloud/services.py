"""Starts and stops the services' processes; all of them end with whoever started them."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

from demo.processes import die_with_parent

from .environment import program
from .settings import APIS, Places, environment

_MODULES = {
    "keystone": "keystone.wsgi.api",
    "glance": "glance.wsgi.api",
    "placement": "placement.wsgi.api",
    "nova": "nova.wsgi.osapi_compute",
    "neutron": "neutron.wsgi.api",
}
DAEMONS = ("nova-conductor", "nova-scheduler", "nova-compute")
_RABBIT = "/usr/lib/rabbitmq/bin/rabbitmq-server"
#: Seconds for all to be up.
PATIENCE = 240


def free_port() -> int:
    """A port of this machine's that nobody has now."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Services:
    """The processes by name."""

    def __init__(self, places: Places):
        self.places = places
        self._running: dict[str, subprocess.Popen] = {}

    # Each ----------------------------------------------------------------------------------------
    def start(self, name: str) -> None:
        """Start one: an API by its project's name, `nova-compute` and its like, `epmd` or `rabbit`."""
        if name in APIS:
            # One that was stopped has its port until its last process is gone.
            _until_free(self.places.ports[name])
        self._begin(name, *self._command(name))

    def _command(self, name: str) -> tuple[list[str], dict[str, str]]:
        if name in APIS:
            return self._api(name), environment(self.places) | {"OS_NOVA_DISABLE_EVENTLET_PATCHING": "true"}
        if name in DAEMONS:
            conf, log = self.places.conf("nova"), self.places.log(name)
            return [program(name), "--config-file", str(conf), "--log-file", str(log)], environment(
                self.places
            )
        if name == "epmd":
            return ["epmd", "-address", "127.0.0.1", "-port", str(self._epmd)], self._erlang()
        return [_RABBIT], self._erlang()

    def _api(self, name: str) -> list[str]:
        where = f"127.0.0.1:{self.places.ports[name]}"
        words = [program("uwsgi"), "--http-socket", where, "--processes", "1"]
        # Threads would lock each other out of SQLite; nova's is asked by other processes all the same.
        words += ["--threads", "4" if name == "nova" else "1"]
        words += ["--enable-threads", "--master", "--die-on-term", "--need-app", "--lazy-apps"]
        words += ["--buffer-size", "65535", "--disable-logging", "--add-header", "Connection: close"]
        return [*words, "--module", f"{_MODULES[name]}:application"]

    @property
    def _epmd(self) -> int:
        return self.places.ports["epmd"]

    def _erlang(self) -> dict[str, str]:
        folder = self.places.folder / "rabbitmq"
        folder.mkdir(exist_ok=True)
        own = {
            "NODENAME": "visa@localhost",
            "MNESIA_BASE": folder,
            "LOG_BASE": folder,
            "NODE_IP_ADDRESS": "127.0.0.1",
            "NODE_PORT": self.places.ports["rabbit"],
            "DIST_PORT": self.places.ports["erlang"],
            "PID_FILE": folder / "pid",
            "CONFIG_FILE": folder / "none",
            "ENABLED_PLUGINS_FILE": folder / "plugins",
            # One scheduler that sleeps while nothing is to do: it would else spin for a while each time.
            "SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }
        values = {f"RABBITMQ_{name}": str(value) for name, value in own.items()}
        values |= {"ERL_EPMD_PORT": str(self._epmd), "ERL_EPMD_ADDRESS": "127.0.0.1"}
        return environment(self.places) | values | {"HOME": str(folder)}

    def _begin(self, name: str, command: list[str], values: dict[str, str]) -> None:
        with self.places.log(f"{name}.output").open("ab") as said:
            self._running[name] = subprocess.Popen(
                command,
                env=values,
                cwd=self.places.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, signal.SIGKILL if name == "epmd" else signal.SIGTERM),
            )

    def stop(self, name: str) -> None:
        """End one, and what it has begun, at once; harmless when it has ended."""
        process = self._running.get(name)
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        del self._running[name]

    def hold(self, name: str) -> None:
        """Have one do nothing, and lose nothing, until `go_on`."""
        os.killpg(self._running[name].pid, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """Have one that was held go on."""
        os.killpg(self._running[name].pid, signal.SIGCONT)

    # All -----------------------------------------------------------------------------------------
    def start_all(self) -> None:
        """Start all, and return when a server could be asked for; raises RuntimeError."""
        end = time.monotonic() + PATIENCE
        self.start("epmd")
        self.start("rabbit")
        for name in APIS:
            self.start(name)
        self._until(end, "RabbitMQ listens", lambda: _listens(self.places.ports["rabbit"]))
        conductor, *others, compute = DAEMONS
        for name in (conductor, *others):
            self.start(name)
        # A compute host that asks too early asks again after ten seconds.
        self._until(end, "the conductor begins", lambda: "Starting conductor" in self._log(conductor))
        self.start(compute)
        for name in APIS:
            self._until(end, f"{name} answers", partial(self.answers, name))
        placement = self.places.database("placement")
        self._until(end, "the host's resources are known", lambda: _rows(placement, "inventories") >= 3)

    def _log(self, name: str) -> str:
        path = self.places.log(name)
        return path.read_text(errors="replace") if path.exists() else ""

    def stop_all(self) -> None:
        """End all, the daemons first: they would miss what they ask."""
        for name in [*DAEMONS, *APIS, "rabbit", "epmd"]:
            self.stop(name)

    def answers(self, name: str) -> bool:
        """Whether an API gives any answer."""
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.places.ports[name]}/", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False
        return True

    def _until(self, end: float, what: str, true) -> None:
        while not true():
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended ({process.returncode}):\n{self.said(name)}")
            if time.monotonic() > end:
                logs = "\n".join(f"{name}:\n{self.said(name)}" for name in self._running)
                raise RuntimeError(f"not in {PATIENCE} s: {what}\n{logs}")
            time.sleep(0.2)  # between two looks at processes that say nothing of themselves

    def said(self, name: str) -> str:
        """The end of what a process said."""
        found = [self.places.log(f"{name}.output"), self.places.log(name)]
        return "\n".join(_tail(path) for path in found if path.exists())


def _until_free(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            socket.create_server(("127.0.0.1", port)).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise RuntimeError(f"port {port} is not free: {error}") from error
        time.sleep(0.05)  # nothing tells when a port is let go; after `end` it is an error


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _rows(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database, timeout=30)) as open_one:
        return open_one.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def _tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])
