"""Who may do what inside a session: the whole table, in one place.

Everything that is not named here is refused. `gate.py` asks for every request to every handler of the
server, whatever package it comes from.

    owner          the account whose session it is
    collaborator   works in the desktop and in JupyterLab with the owner
    viewer         watches the desktop
    anyone         not logged in: software that is public anyway, and the steps of logging in

Support is let in as viewer or collaborator. Nobody else gets anything: not an administrator, not a service,
not an account that the hub lets in for another reason. Who is what is in `members.py`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class Role(StrEnum):
    """What somebody is in this session."""

    OWNER = "owner"
    COLLABORATOR = "collaborator"
    VIEWER = "viewer"


#: How much each role may do, to tell up from down.
RANK: dict[Role | None, int] = {None: 0, Role.VIEWER: 1, Role.COLLABORATOR: 2, Role.OWNER: 3}

#: Stands in a rule's paths for the caller's own JupyterLab workspace: their layout, not the owner's.
OWN_WORKSPACE = "{own workspace}"

READ = ("GET", "HEAD")
CHANGE = ("POST", "PUT", "PATCH", "DELETE")
WORK = READ + CHANGE

OWNER = (Role.OWNER,)
TOGETHER = (Role.OWNER, Role.COLLABORATOR)
ALL = (Role.OWNER, Role.COLLABORATOR, Role.VIEWER)


@dataclass(frozen=True)
class Allowed:
    """Roles that may send these methods to these paths (below the session's own prefix), and why.

    `anyone` needs no role and no login.
    """

    paths: str
    methods: tuple[str, ...]
    roles: tuple[Role, ...]
    why: str
    anyone: bool = False

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.paths)

    def covers(self, path: str, person: str) -> bool:
        """Whether this rule speaks of `path`, asked for by `person`."""
        if OWN_WORKSPACE in self.paths:
            return bool(re.fullmatch(self.paths.replace(OWN_WORKSPACE, workspace_of(person)), path))
        return bool(self._pattern.fullmatch(path))


ANYONE: tuple[Allowed, ...] = (
    Allowed(r"/desktop/static/[^/]+", READ, (), "the desktop page's script and style", anyone=True),
    Allowed(r"/static/.+", READ, (), "JupyterLab's own scripts, styles and fonts", anyone=True),
    Allowed(r"/visa/boot/[0-9a-f]{64}\.js", READ, (), "the same scripts in one", anyone=True),
    Allowed(r"/lab/extensions/.+", READ, (), "scripts of JupyterLab's extensions", anyone=True),
    Allowed(r"/lab/api/themes/.+", READ, (), "styles of JupyterLab's themes", anyone=True),
    Allowed(r"/api/?", READ, (), "the server's version: how the hub sees that it is up", anyone=True),
    Allowed(r"/oauth_callback", READ, (), "coming back from the hub's login", anyone=True),
    Allowed(r"/logout", READ, (), "logging out", anyone=True),
)

MEMBERS: tuple[Allowed, ...] = (
    Allowed(r"/desktop/?", READ, ALL, "the desktop's page"),
    Allowed(r"/desktop/socket", READ, ALL, "its stream; the VNC server itself holds viewers to watching"),
    Allowed(r"/visa/stream", READ, ALL, "whether there is a video stream of the desktop"),
    Allowed(r"/visa/stream/socket", READ, ALL, "that stream: its picture alone, whoever watches"),
    Allowed(r"/visa/line/probe", READ, ALL, "bytes to measure one's line with, so many a minute"),
    Allowed(r"/visa/session", READ, ALL, "the session's title, experiments and time left"),
    Allowed(r"/visa/news", READ, ALL, "who is in, told as it changes; members see less than the owner"),
)

#: What working in JupyterLab together takes. It ends where the session itself begins.
JUPYTERLAB: tuple[Allowed, ...] = (
    Allowed(r"/?", READ, TOGETHER, "the way to the page a session opens with"),
    Allowed(r"/(lab|doc)(/workspaces/[\w-]+)?(/tree/.*)?", READ, TOGETHER, "JupyterLab's page"),
    Allowed(r"/lab/api/settings(/.*)?", READ, TOGETHER, "its settings, to read"),
    Allowed(r"/lab/api/workspaces(/.*)?", READ, TOGETHER, "its layouts, to read"),
    Allowed(r"/lab/api/workspaces/" + OWN_WORKSPACE, CHANGE, TOGETHER, "the person's own layout"),
    Allowed(r"/lab/api/(translations|licenses|listings)(/.*)?", READ, TOGETHER, "its languages and licences"),
    Allowed(r"/lab/api/(plugins|build|extensions)", READ, TOGETHER, "what is installed, to read"),
    Allowed(r"/api/(me|status|spec.yaml|resolvePath)", READ, TOGETHER, "who one is, and the server's state"),
    Allowed(r"/api/config/\w+", READ, TOGETHER, "settings of its parts, to read"),
    Allowed(r"/api/contents(/.*)?", WORK, TOGETHER, "files, their checkpoints and trust"),
    Allowed(r"/api/notebooks(/.*)?", READ, TOGETHER, "the old way to the same files"),
    Allowed(r"/api/fileid/(id|path)", READ, TOGETHER, "which file a shared document is"),
    Allowed(r"/(files|view)/.*", READ, TOGETHER, "files, to download and to look at"),
    Allowed(r"/(api/)?nbconvert(/.*)?", (*READ, "POST"), TOGETHER, "notebooks in other formats"),
    Allowed(r"/(api/)?kernelspecs(/.*)?", READ, TOGETHER, "kernels to choose from, and their icons"),
    Allowed(r"/api/(kernels|sessions)(/.*)?", WORK, TOGETHER, "kernels, their channels, what runs where"),
    Allowed(r"/api/terminals(/\w+)?", WORK, TOGETHER, "terminals"),
    Allowed(r"/terminals/websocket/\w+", READ, TOGETHER, "a terminal's stream"),
    Allowed(r"/api/collaboration/room/.+", READ, TOGETHER, "a shared document, and who is in it"),
    Allowed(r"/api/collaboration/(session|undo_redo)/.+", ("PUT",), TOGETHER, "opening one; stepping back"),
    Allowed(r"/api/collaboration/timeline/.+", READ, TOGETHER, "a document's history"),
    Allowed(r"/api/collaboration/fork/.+", (*READ, "PUT", "DELETE"), TOGETHER, "a document's suggestions"),
    Allowed(r"/api/events/subscribe", READ, TOGETHER, "what happens to files and documents"),
    Allowed(r"/lsp/(status|ws/[\w.-]+)", READ, TOGETHER, "language servers"),
    Allowed(r"/h5web/(attr|data|meta|paths|stats)/.*", READ, TOGETHER, "looking into HDF5 files"),
    Allowed(
        r"/jupyterlab_slurm/(status|user|ui-config|squeue|sacct|job/\d[\w.\[\],%-]*)",
        READ,
        TOGETHER,
        "the owner's jobs on the cluster, to read",
    ),
    Allowed(r"/jupyterlab_slurm/sbatch", ("POST",), TOGETHER, "submitting a script"),
    Allowed(r"/jupyterlab_slurm/scancel", ("DELETE",), TOGETHER, "cancelling jobs"),
    Allowed(
        r"/jupyterlab_slurm/scontrol/(hold|release)", ("PATCH",), TOGETHER, "holding and releasing a job"
    ),
    Allowed(r"/visa/applications(/[^/.][^/]*/icon)?", READ, TOGETHER, "the session's applications"),
    Allowed(r"/visa/applications/[^/.][^/]*", ("POST",), TOGETHER, "starting one of them on the desktop"),
    Allowed(r"/visa/passport(\.json)?", READ, TOGETHER, "what the session was started with"),
    Allowed(r"/visa/welcome", ("POST",), TOGETHER, "a copy of the welcome notebook"),
    Allowed(r"/visa/cluster/examples", ("POST",), TOGETHER, "a copy of the cluster's examples"),
    Allowed(r"/server-proxy/(servers-info|icon/.+)", READ, TOGETHER, "tiles of the launcher"),
    Allowed(
        r"/proxy/(absolute/)?([^/:@]+:)?\d+(/.*)?",
        (*WORK, "OPTIONS"),
        TOGETHER,
        "pages of programs inside",
    ),
)

#: Not even the owner's: there selkies, by itself, lets every visitor in, in control and without a login.
NOT_HERE = "selkies"

OWNERS: tuple[Allowed, ...] = (
    Allowed(
        rf"/(?!{NOT_HERE}(/|$)).*|",
        (*WORK, "OPTIONS"),
        OWNER,
        "everything else: settings, extensions, shutting down, answers to support, ending a membership",
    ),
)

TABLE: tuple[Allowed, ...] = (*ANYONE, *MEMBERS, *JUPYTERLAB, *OWNERS)

#: Whose mouse, keyboard and clipboard the VNC server listens to.
CONTROLS_DESKTOP = frozenset({Role.OWNER, Role.COLLABORATOR})


def workspace_of(person: str) -> str:
    """The name of a person's own JupyterLab workspace in somebody else's session."""
    return "member-" + hashlib.sha256(person.encode()).hexdigest()[:12]


def may(role: Role | None, method: str, path: str, person: str = "") -> bool:
    """Whether `role`, held by `person`, may send `method` to `path`, the part below the session's prefix."""
    return any(
        method in allowed.methods
        and (allowed.anyone or role in allowed.roles)
        and allowed.covers(path, person)
        for allowed in TABLE
    )
