"""One real cluster for a run of pytest, whose daemons tests may stop, kill and start again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
from local_hub import ACCOUNTS

from demo.cluster import accounts, commands, daemons, people
from demo.cluster.daemons import well
from demo.cluster.layout import NODES, Cluster
from demo.processes import die_with_parent

ROOT = Path(__file__).resolve().parents[3]
OWNER = f"tests-{os.getpid()}"
FOLDER = "visa-slurm-"
NODE_NAMES = tuple(node.name for node in NODES)
SLURMDS = tuple(f"slurmd-{name}" for name in NODE_NAMES)
#: `n1` is the node with all that runs on it, `slurmd-n1` its daemon alone.
DAEMONS = ("munge", "database", "accounting", "controller", *NODE_NAMES, *SLURMDS)
#: What alice, bob and heidi of `local_hub` may compute on, beside the account `visa`.
MEMBERS = {
    "alice": accounts.Member("alice", ("a1",), ("normal", "urgent", "single")),
    "bob": accounts.Member("bob", ("b2",)),
    "heidi": accounts.Member("heidi"),
}
#: Long enough for a busy machine with two cores.
PATIENCE = 90


class SlurmCluster:
    """The running cluster. Slurm's commands run as root, who sees everything."""

    def __init__(self, layout: Cluster, process: subprocess.Popen):
        self.layout, self.process = layout, process
        self.folder, self.slurm_conf = layout.folder, layout.slurm_conf
        self.environment = layout.environment
        self._people: dict[str, people.Account] = {}
        self._jobs: list[int] = []
        self._next = 1

    # ---- Slurm's commands
    def run(self, *command: str, timeout: float = 60, **options) -> str:
        """What a command prints; raises commands.CommandFailed with its words."""
        return commands.run(self.layout, *command, timeout=timeout, **options)

    def submit(self, script: str, person: str = "alice", *options: str) -> int:
        """Submit a plain job of that person's; its id. It is cancelled when the test is over."""
        account = self._people[person]
        words = self.run(
            *("sbatch", "--parsable", f"--uid={account.uid}", f"--gid={account.gid}", "--export=NONE"),
            *("--chdir=/", "--output=/dev/null", *options, "--wrap", script),
        )
        job = int(words.split(";")[0])
        self._jobs.append(job)
        return job

    def job(self, job: int) -> dict[str, str]:
        """What the controller says of a job, by its own field names: `JobState`, `Reason`, `NodeList`."""
        words = self.run("scontrol", "--oneliner", "show", "job", str(job)).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def until(self, job: int, *states: str, seconds: float = PATIENCE) -> dict[str, str]:
        """Wait until a job is in one of these states (`RUNNING`); gives what the controller says of it."""
        seen: dict[str, str] = {}

        def there() -> bool:
            seen.update(self.job(job))
            return seen["JobState"] in states

        wait(there, seconds, lambda: f"job {job} is not {' or '.join(states)}: {seen}")
        return seen

    def jobs(self) -> list[str]:
        """The jobs that have not ended, a line each."""
        return self.run("squeue", "-h", "-o", "%i of %u, %j, %T").splitlines()

    # ---- People
    def person(
        self,
        name: str,
        uid: int,
        *gids: int,
        proposals: tuple[str, ...] = (),
        qos: tuple[str, ...] = ("normal",),
    ) -> people.Account:
        """One more account of this machine and of the cluster, for the rest of the run."""
        account = self._know(name, uid, *gids)
        self.give()
        accounts.add(self.layout, accounts.Member(name, proposals, qos))
        return account

    def account(self, name: str) -> people.Account:
        return self._people[name]

    def _know(self, name: str, uid: int, *gids: int) -> people.Account:
        home = self.folder / "home" / str(uid)
        home.mkdir(parents=True, exist_ok=True)
        os.chown(home, uid, uid)
        self._people[name] = people.Account(name, uid, uid, str(home), gids)
        return self._people[name]

    def give(self) -> None:
        gids = {gid for account in self._people.values() for gid in account.gids}
        people.give(OWNER, self._people.values(), {people.team(gid): gid for gid in gids})

    # ---- Daemons
    def process_of(self, daemon: str) -> psutil.Process:
        """A daemon's process; raises psutil.NoSuchProcess when it is not there."""
        if daemon in SLURMDS:
            node = self.process_of(daemon.removeprefix("slurmd-"))
            for process in node.children(recursive=True):
                if process.name() == "slurmd" and process.parent().parent() == node:
                    return process
            raise psutil.NoSuchProcess(0, daemon)
        try:
            return psutil.Process(int((self.folder / "run/pids" / daemon).read_text()))
        except FileNotFoundError:
            raise psutil.NoSuchProcess(0, daemon) from None

    def stop(self, daemon: str) -> None:
        """Make a daemon silent: it takes connections and answers none."""
        process = self.process_of(daemon)
        process.send_signal(signal.SIGSTOP)
        wait(lambda: process.status() == psutil.STATUS_STOPPED, 10, lambda: f"{daemon} does not stop")

    def go_on(self, daemon: str) -> None:
        """Let a silent daemon go on, and wait until all is well."""
        self.process_of(daemon).send_signal(signal.SIGCONT)
        self.until_well()

    def kill(self, daemon: str) -> None:
        """Kill a daemon, or a whole node with all its jobs, and keep it down until `restart`."""
        process = self.process_of(daemon)
        (self.layout.held / daemon).touch()
        process.kill()
        wait(lambda: not alive(process), 10, lambda: f"{daemon} does not die")

    def restart(self, daemon: str) -> None:
        """Start a daemon again, killing it where it runs, and wait until all is well."""
        if (self.layout.held / daemon).exists():
            (self.layout.held / daemon).unlink()
        else:
            before = self.process_of(daemon)
            before.kill()
            wait(lambda: not alive(before), 10, lambda: f"{daemon} does not die")
        wait(lambda: self._runs(daemon), 20, lambda: f"{daemon} was not started again")
        self.until_well()

    @contextmanager
    def silent(self, daemon: str) -> Iterator[None]:
        """A daemon that answers nothing while inside."""
        self.stop(daemon)
        try:
            yield
        finally:
            self.go_on(daemon)

    @contextmanager
    def down(self, daemon: str) -> Iterator[None]:
        """A daemon that is not there while inside."""
        self.kill(daemon)
        try:
            yield
        finally:
            self.restart(daemon)

    def _runs(self, daemon: str) -> bool:
        try:
            return alive(self.process_of(daemon))
        except psutil.NoSuchProcess:
            return False

    # ---- Nodes
    def drain(self, node: str, reason: str = "maintenance") -> None:
        """Let no further job on a node."""
        self.run("scontrol", "update", f"nodename={node}", "state=drain", f"reason={reason}")

    def resume(self, node: str) -> None:
        """Take a node back that was drained or lost."""
        self.run("scontrol", "update", f"nodename={node}", "state=resume")

    def lose(self, node: str) -> None:
        """Tell the controller that a node is lost, rather than wait half a minute until it sees."""
        self.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")

    def nodes(self) -> dict[str, str]:
        """Each node's state, as `sinfo` has it."""
        lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def strangers(self) -> list[str]:
        """What runs on the nodes beside their slurmd: jobs, and what jobs left behind."""
        found = []
        for name in filter(self._runs, NODE_NAMES):
            node = self.process_of(name)
            first = node.children()
            for process in node.children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if process not in first and process.name() != "slurmd" and alive(process):
                        found.append(f"{name}: process {process.pid}, {' '.join(process.cmdline())[:80]}")
        return found

    # ---- Between tests
    def until_well(self, seconds: float = PATIENCE) -> None:
        """Wait until every daemon answers and every node takes jobs, or is drained."""
        troubles: list[str] = []

        def all_well() -> bool:
            troubles[:] = self.troubles()
            return not troubles

        wait(all_well, seconds, lambda: f"the cluster is not well: {troubles}")

    def troubles(self) -> list[str]:
        """What does not answer, in words."""
        found = []
        for what, command, wanted in (
            ("munge", ["munge", "-n", "-S", str(self.layout.munge_socket)], ""),
            ("controller", ["scontrol", "ping"], "is UP"),
            ("accounting", ["sacctmgr", "-n", "show", "cluster", "format=controlhost"], "127.0.0.1"),
            ("nodes", ["sinfo", "-h", "-N", "-p", "main", "-o", "%N %T"], None),
        ):
            try:
                words = self.run(*command, timeout=20)
            except (commands.CommandFailed, subprocess.TimeoutExpired) as error:
                return [*found, f"{what}: {error}"]
            if not (well(words) if wanted is None else wanted in words):
                found.append(f"{what}: {words.strip()}")
        return found

    def clean(self) -> list[str]:
        """Bring the cluster back to where a run begins; gives, in words, what had been left."""
        left = []
        for daemon in DAEMONS:
            if (self.layout.held / daemon).exists():
                left.append(f"{daemon} is down")
                (self.layout.held / daemon).unlink()
            elif self._runs(daemon) and self.process_of(daemon).status() == psutil.STATUS_STOPPED:
                left.append(f"{daemon} is stopped")
                self.process_of(daemon).send_signal(signal.SIGCONT)
        self.until_well()
        # A controller that is killed forgets the last seconds, and takes jobs for running that were over.
        left += [
            f"job {line}"
            for line in self.jobs()
            if int(line.split()[0]) not in {*self._jobs, *range(self._next)}
        ]
        self._jobs.clear()
        waiting = [line.split()[0] for line in self.jobs()]
        if waiting:
            self.run("scancel", "--signal=KILL", "--full", *waiting)
            self.run("scancel", *waiting)
        for name, state in self.nodes().items():
            if state.startswith(("drain", "down")):
                left.append(f"node {name} is {state}")
                self.resume(name)
        wait(self._idle, PATIENCE, lambda: f"not idle: {self.jobs()}, {self.nodes()}, {self.strangers()}")
        self._next = int(self.run("scontrol", "show", "config").partition("NEXT_JOB_ID")[2].split()[1])
        return left

    def _idle(self) -> bool:
        return not self.jobs() and set(self.nodes().values()) == {"idle"} and not self.strangers()


def wait(there: Callable[[], bool], seconds: float, trouble: Callable[[], str]) -> None:
    """Wait until `there()`; raises AssertionError with `trouble()`."""
    end = time.monotonic() + seconds
    while not there():
        if time.monotonic() > end:
            raise AssertionError(trouble())
        time.sleep(0.05)  # between two looks, up to `end`


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """The first of as many free ports in a row as a cluster takes; below those that the kernel gives away."""
    for start in range(20000 + os.getpid() % 900 * 10, 32000, 10):
        try:
            for port in range(start, start + Cluster.PORTS):
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", port))
            return start
        except OSError:
            continue
    raise AssertionError("no free ports for a cluster")


def remove_leftovers() -> None:
    """Remove folders and accounts of runs that were killed."""
    for folder in Path("/var/lib").glob(f"{FOLDER}*"):
        if not psutil.pid_exists(int(folder.name.removeprefix(FOLDER).partition("-")[0])):
            port = (folder / "slurm.conf").read_text().partition("SlurmctldPort=")[2].split()[0]
            daemons.remove_leftovers(Cluster(folder, int(port)))
            shutil.rmtree(folder)
    for owner in people.owners():
        if owner.startswith("tests-") and not psutil.pid_exists(int(owner.removeprefix("tests-"))):
            people.take_away(owner)


@contextmanager
def running(**settings) -> Iterator[SlurmCluster]:
    """A cluster while inside, with the accounts of `local_hub`; nothing of it outlives this process."""
    remove_leftovers()
    # Not below /tmp, where everybody may write.
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-", dir="/var/lib"))
    layout = Cluster(folder, free_port(), **settings)
    told = {it.name: {"proposals": it.proposals, "qos": it.qos} for it in MEMBERS.values()}
    command = [sys.executable, "-m", "demo.cluster", str(folder), "--port", str(layout.port)]
    with (folder / "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--name", layout.name, "--members", json.dumps(told)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=partial(die_with_parent, signal.SIGKILL),
        )
    cluster = SlurmCluster(layout, process)
    try:
        for name, account in ACCOUNTS.items():
            cluster._know(name, account["uid"], *account["gids"])
        cluster.give()
        said = folder / "cluster.log"
        wait(
            lambda: process.poll() is not None or b"ready" in said.read_bytes(),
            2 * PATIENCE,  # it says by itself what does not start
            lambda: f"the cluster does not start: {said.read_text()}",
        )
        assert process.poll() is None, said.read_text()
        yield cluster
    finally:
        for daemon in DAEMONS:
            if cluster._runs(daemon):
                cluster.process_of(daemon).send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        people.take_away(OWNER)
        shutil.rmtree(folder)
