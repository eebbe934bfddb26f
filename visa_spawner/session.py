"""What a session is made of once its request is parsed and authorised, and the words for its state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from visa_session.contract import INFO_VARIABLE, SessionInfo


class State(StrEnum):
    """Where a session stands. `UNKNOWN`: its backend does not answer, which is not the same as dead.

    `SUSPENDED`: its owner or its backend has it stand still, and it goes on where it was when they say so.
    """

    STARTING = "starting"
    RUNNING = "running"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """A state, said in plain words for the session's owner, and since when (UTC).

    `queued`: it stands in the backend's queue; the next such words replace these, however long it takes.
    `held`: it stands still by the backend's own word: its lifetime goes on, and nobody can work in it.
    """

    state: State
    words: str = ""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    queued: bool = False
    held: bool = False


@dataclass(frozen=True)
class Resources:
    """What a session takes of a node: cores, bytes of memory, whole GPUs of a type ("" is any).

    `partition` and `nodes` mean something to a cluster alone: which part of it ("" is its own choice), and
    how many nodes, each with all of the above.
    """

    cpus: float
    memory: int
    gpus: int = 0
    gpu_type: str = ""
    partition: str = ""
    nodes: int = 1


@dataclass(frozen=True)
class Batch:
    """What a session on a cluster asks for beside its resources; "" is the cluster's own choice.

    `account` is what the plan's rule gave for this session's experiments; `tasks` is the number of MPI
    tasks; `hours` how long the job may run, which is the session's lifetime.
    """

    account: str = ""
    qos: str = ""
    reservation: str = ""
    tasks: int = 1
    hours: float = 8


@dataclass(frozen=True)
class Availability:
    """What a backend could start now for one plan: how many sessions, and in words what is free, or why none.

    `expected` is when a session that had to wait in the queue would start (UTC); None where nobody knows.
    `possible` is False where no machine will ever have what the plan asks for, so that waiting is in vain.
    """

    sessions: int
    words: str = ""
    expected: datetime | None = None
    possible: bool = True


@dataclass(frozen=True)
class Usage:
    """What a session takes at this moment: cores, bytes of memory (None: not known), and what it may take."""

    cpus: float
    memory: int | None
    memory_limit: int


@dataclass(frozen=True)
class NodeState:
    """A machine of a backend, for administrators.

    `answers` is None until it was asked once, `since` when that last changed (UTC); `drained` that the
    settings let nothing new start there. `free_*` are what new sessions could take; `sessions` the keys
    `OWNER/NAME` of those that are there, `waiting` how many containers wait for one. `scheduled`: a cluster's
    own scheduler says what starts there; `closed` that it lets nothing new start there now, and `words` what
    it says of the node.
    """

    name: str
    answers: bool | None
    since: datetime | None
    drained: bool
    cpus: float
    memory: int
    gpus: int
    free_cpus: float
    free_memory: int
    free_gpus: int
    sessions: tuple[str, ...] = ()
    waiting: int = 0
    scheduled: bool = False
    closed: bool = False
    words: str = ""


@dataclass(frozen=True)
class Bind:
    """One directory of the facility inside a session.

    `source` is what the backend is given (a pinned mount on the hub's machine, or the path itself),
    `target` the absolute path inside; read-only binds are so recursively. `path` is the checked path
    itself, for a node on another machine, where the pinned mount does not exist.
    """

    source: str
    target: str
    read_only: bool
    path: str = ""


@dataclass(frozen=True)
class WarmPair:
    """A profile and a plan whose sessions may find a container that waits for them, made beforehand.

    `image` is the recipe's name; `binds` are the operator's own, the same in all of its sessions. `size` is
    how many machines wait, and `disk` the bytes of each one's, where they are machines.
    """

    profile: str
    plan: str
    image: str
    resources: Resources
    binds: tuple[Bind, ...] = ()
    size: int = 0
    disk: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Profile and plan, which no two pairs have in common."""
        return self.profile, self.plan


@dataclass(frozen=True)
class Start:
    """That a session of a profile and a plan was started once, and when (UTC)."""

    profile: str
    plan: str
    when: datetime


@dataclass(frozen=True)
class Person:
    """Whom the session's processes run as; `gids` are the supplementary groups, one by one."""

    username: str
    uid: int
    gid: int
    gids: tuple[int, ...]
    home: str


@dataclass(frozen=True)
class Image:
    """The image that a session really has; what is not known is empty.

    `digest` is `sha256:` and 64 hexadecimal digits, by which the engine knows it for ever. `revision` is its
    recipe's; `packages` are `{"type", "name", "version"}`.
    """

    recipe: str
    digest: str = ""
    revision: str = ""
    created: str = ""
    packages: tuple[dict[str, str], ...] = ()

    def about(self) -> dict[str, str]:
        """All but its packages."""
        return {name: getattr(self, name) for name in ("recipe", "digest", "revision", "created")}


@dataclass(frozen=True)
class SessionPlan:
    """All that a backend needs to start one session; nothing in it comes unchecked from a person.

    `key` is `OWNER/NAME`; `image` the recipe's name; `command` the argument list to run, never a shell's;
    `digest` is the very image where one was asked for, "" for the recipe's present one; `short_ways` maps a
    link inside the session to what it points to; `labels` are put on whatever the backend makes; `batch` is
    for a cluster alone, `disk` (bytes; 0: the image's own) for a machine; `accounts` are system accounts,
    name and uid, that a container must know. `environment` is the whole of it, but for what only the
    backend knows: see `placed`.
    """

    key: str
    person: Person
    image: str
    resources: Resources
    binds: tuple[Bind, ...]
    short_ways: dict[str, str]
    environment: dict[str, str]
    labels: dict[str, str]
    command: tuple[str, ...] = ("visa-session",)
    batch: Batch = Batch()
    accounts: tuple[tuple[str, int], ...] = ()
    digest: str = ""
    disk: int = 0

    def placed(self, *, ip: str, port: int, gpus: tuple[str, ...] = ()) -> SessionPlan:
        """The plan with what is known once a node is chosen.

        `ip` and `port` are what the server listens on (port 0: it picks a free one), `gpus` the device
        paths that must exist inside.
        """
        environment = dict(self.environment)
        info = SessionInfo.from_environment(environment)
        environment[INFO_VARIABLE] = replace(info, gpus=tuple(gpus)).to_json()
        host = f"[{ip}]" if ":" in ip else ip
        environment["JUPYTERHUB_SERVICE_URL"] = (
            f"http://{host}:{port}{environment['JUPYTERHUB_SERVICE_PREFIX']}"
        )
        return replace(self, environment=environment)


class StartRefused(Exception):
    """The session cannot start for a reason its owner may read; `field` names the option at fault."""

    def __init__(self, words: str, *, field: str = "", status: int = 400, reason: str = "refused"):
        super().__init__(words)
        self.words, self.field, self.status, self.reason = words, field, status, reason
