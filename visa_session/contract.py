"""The names that the hub's side and the session's side agree on.

Imported by both, so it depends on the standard library alone: inside a session every import is paid for
at each start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

#: Environment variable that carries `SessionInfo` as JSON into the session.
INFO_VARIABLE = "VISA_SESSION_INFO"

#: Set to 1 where the session's token comes on its standard input, and not in the environment.
TOKEN_STDIN_VARIABLE = "VISA_TOKEN_STDIN"

#: Where the short ways to an experiment's data stand inside a session.
EXPERIMENTS_ROOT = "/experiments"

#: What the hub wrote down of the session: profile, image, packages, plan, experiments. Root's, and read-only.
PASSPORT = f"{EXPERIMENTS_ROOT}/passport.json"

#: The script that JupyterLab's page begins with, made with an image, compressed; and where the hub serves
#: such scripts, by the SHA-256 of what is in them, below its own prefix.
BOOT_SCRIPT = "/opt/visa/boot.js.gz"
BOOT_ADDRESS = "api/visa/boot/"

#: Custom scopes; each is granted for exactly one server: `SCOPE!server=OWNER/NAME`.
VIEW_SCOPE = "custom:visa:view"
CONTROL_SCOPE = "custom:visa:control"

#: Hub REST path, below the hub's API address, where a session says that it listens: `{"port": N}`, and
#: `"request"` beside it, a certificate's signing request in PEM, where it was given an authority. The answer
#: is then `{"certificate": PEM}`.
READY_PATH = "visa/ready"

#: What a session's log says each time that it finds no hub where it is to say that it listens. The hub reads
#: it there: a session that does not reach it has no other way to tell.
UNHEARD = "The hub cannot be reached from here"

#: Hub REST paths of sharing, as docs/developers/sharing.md has them: the table of members, kept open; who
#: came and went; and, below the last, `OWNER/NAME/...`.
LINE_PATH = "visa/line"
ENTRIES_PATH = "visa/entries"
SHARING_PATH = "visa/sharing"

#: Port a session listens on when it has a network namespace of its own.
SESSION_PORT = 8888

#: Set in sessions that reach the cluster; and words, quoted as a shell reads them, that run a command of a
#: job's in the session's image on a node, empty where jobs run on the nodes' own software.
CLUSTER_VARIABLE = "VISA_CLUSTER"
IN_IMAGE_VARIABLE = "VISA_IN_IMAGE"

#: Names the addresses of web servers that stand before the proxy, with commas between: what they say of where
#: somebody comes from is believed (address.py), by hub, portal and session alike.
TRUSTED_VARIABLE = "VISA_TRUSTED_PROXIES"

#: Carries the certificate of the authority that sessions and hub know each other by, in PEM: whoever has it
#: serves TLS, with a certificate that the hub gives it for its word that it listens.
AUTHORITY_VARIABLE = "VISA_AUTHORITY"

#: Exit codes of the session's process that the hub puts into words.
EXIT_NOT_READ_ONLY = 71
EXIT_GPU_MISSING = 72
EXIT_BAD_INFO = 73
EXIT_HOME_UNUSABLE = 74
EXIT_NO_TOKEN = 75
#: A session that was to wait for its person could not, or not any longer: no person ever saw it.
EXIT_NOT_WAITING = 76


def known(of: type, values: Mapping) -> dict:
    """What a dataclass has names for: a hub may be newer than the image, which may be years old."""
    names = {field.name for field in fields(of)}
    return {name: value for name, value in values.items() if name in names}


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset that somebody chose for the session; `path` is relative to its experiment's raw data.

    Relative since all of a session's datasets share one environment variable, which has 128 kB at most.
    """

    id: str
    name: str = ""
    path: str = ""


@dataclass(frozen=True)
class ExperimentInfo:
    """One experiment of a session, as the session needs to know it.

    Paths are absolute and the same inside and outside of the session; `processed` is empty where the
    facility keeps none. `datasets` are the chosen ones, none where the whole experiment is meant.
    """

    id: str
    title: str = ""
    instrument: str = ""
    technique: str = ""
    raw: str = ""
    processed: str = ""
    datasets: tuple[DatasetInfo, ...] = ()

    @classmethod
    def from_dict(cls, values: Mapping) -> ExperimentInfo:
        """Read one of the entries that `SessionInfo.to_json` writes; raises TypeError or AttributeError."""
        datasets = tuple(DatasetInfo(**known(DatasetInfo, one)) for one in values.get("datasets", ()))
        return cls(**known(cls, values) | {"datasets": datasets})


@dataclass(frozen=True)
class SessionInfo:
    """What a session is told about itself.

    `ends` is an ISO 8601 time in UTC; `gpus` are device paths that must exist before the server starts;
    `memory` is in bytes and `cpus` in cores, as the plan has them. `profile_help` says where to begin, in
    plain text, a blank line between paragraphs. `passport_in_processed`: leave the session's passport beside
    the results when it stops. `stream_rate`: pictures a second of the desktop's video stream at most; 0 for
    no such stream.
    """

    owner: str
    name: str
    title: str = ""
    facility: str = ""
    portal_url: str = ""
    profile: str = ""
    profile_title: str = ""
    profile_help: str = ""
    plan: str = ""
    plan_title: str = ""
    applications: tuple[str, ...] = ()
    interface: str = "lab"
    screen: str = "1920x1080"
    keyboard: str = "us"
    ends: str = ""
    cpus: float = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()
    experiments: tuple[ExperimentInfo, ...] = field(default_factory=tuple)
    passport_in_processed: bool = False
    stream_rate: int = 60

    @property
    def key(self) -> str:
        """`OWNER/NAME`, as the hub writes it in scopes and labels."""
        return f"{self.owner}/{self.name}"

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> SessionInfo:
        """Read what `to_json` wrote, here or in a later version.

        Raises ValueError when it is not such a text.
        """
        try:
            values = json.loads(text)
            values["experiments"] = tuple(map(ExperimentInfo.from_dict, values.get("experiments", ())))
            for name in ("applications", "gpus"):
                values[name] = tuple(values.get(name, ()))
            return cls(**known(cls, values))
        except (TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{INFO_VARIABLE} is not readable: {error}") from error

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> SessionInfo:
        """Read it from the environment; raises ValueError when it is absent or unreadable."""
        if INFO_VARIABLE not in environment:
            raise ValueError(f"{INFO_VARIABLE} is not set: this is not a VISA session")
        return cls.from_json(environment[INFO_VARIABLE])
