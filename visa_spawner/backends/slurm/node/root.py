"""The session's whole file tree, put together in memory; a runtime has only to enter it.

Every runtime thereby gives the same: the image read-only, the binds at their own paths, raw data read-only
down to the last mount, names of the person's own, /tmp and /dev/shm private and limited, and of the node's
devices the job's alone.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import replace

from visa_session.contract import EXIT_BAD_INFO, EXIT_HOME_UNUSABLE

from ...accounts import group, passwd
from . import namespace, passport, squash
from .namespace import MS_NODEV, MS_NOSUID, MS_RDONLY
from .plan import NotFit, Plan

#: Devices that every program expects.
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
_LINKS.update({"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx", "core": "/proc/kcore"})
#: Made anew, whatever the image has there.
OWN = ("/proc", "/sys", "/dev", "/tmp", "/run", "/var/tmp")
NAMES = ("/etc/passwd", "/etc/group", "/etc/hosts", "/etc/resolv.conf")
#: Bytes that /tmp has at least: the session's own sockets and keys are there.
SMALLEST_TMP = 64 << 20
_SAFE = MS_NOSUID | MS_NODEV


def build(plan: Plan, place: str, devices: list[str]) -> str:
    """Put the tree together at `place`, an empty directory or one that nobody needs any more; its path.

    Ends in a namespace of mounts of its own. Raises NotFit.
    """
    held = reach([plan.image, *(bind.path for bind in plan.binds + plan.extra_binds)], plan.person.home)
    try:
        namespace.enter()
        namespace.tmpfs(place, "mode=0755,size=16m")
        root = f"{place}/root"
        os.mkdir(root, 0o755)
        plan = passport.corrected(replace(plan, image=squash.tree(plan.image, place)))
        _Tree(plan, root, devices).build()
        # Nothing of it is the person's to change.
        namespace.restrict(place, MS_RDONLY | _SAFE, below=False)
    except OSError as error:
        raise NotFit(
            EXIT_BAD_INFO,
            f"The session's file tree could not be made on {os.uname().nodename}: {error.strerror}.",
        ) from error
    except ValueError as error:
        raise NotFit(EXIT_BAD_INFO, f"The session's file tree could not be made: {error}.") from error
    finally:
        for descriptor in held:
            os.close(descriptor)
    return root


def reach(paths: list, home: str) -> list:
    """Open all that a session is made of, for as long as the descriptors that this gives are open.

    What an automounter mounts when somebody comes there, it does not mount in a namespace of ours. Raises
    NotFit for what is not there.
    """
    held = []
    for path in paths:
        # The dot has an automounter mount a directory.
        for name in (f"{path}/.", path):
            try:
                held.append(os.open(name, os.O_PATH | os.O_CLOEXEC))
                break
            except (NotADirectoryError, PermissionError):
                continue
            except OSError as error:
                words = "The home directory" if path == home else "The folder"
                code = EXIT_HOME_UNUSABLE if path == home else EXIT_BAD_INFO
                said = f"{words} {path} is not there on {os.uname().nodename}: {error.strerror}."
                raise NotFit(code, said) from error
    return held


def slurm_account() -> list:
    """The account that Slurm's daemons run as, by the node's own word: its commands do not work without."""
    try:
        return [("slurm", pwd.getpwnam("slurm").pw_uid)]
    except KeyError:
        return []


def node_text(path: str) -> str:
    """What a file of the node's says; "" where it has none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


class _Tree:
    def __init__(self, plan: Plan, root: str, devices: list[str]):
        self.plan, self.root, self.devices = plan, root, devices

    def build(self) -> None:
        plan = self.plan
        binds = sorted(unique(plan.binds + plan.extra_binds), key=lambda bind: bind.path.split("/"))
        outside = [path for path in self.devices if not path.startswith("/dev/")]
        points = [*OWN, *NAMES, *(bind.path for bind in binds), *plan.short_ways, *plan.texts, *outside]
        self.mirror(plan.image, "", [point.strip("/").split("/") for point in points])
        self.own()
        self.names()
        for bind in binds:
            self.bind(bind.path, MS_RDONLY | _SAFE if bind.read_only else _SAFE)
        for path in outside:
            self.bind(path, 0)
        for link, target in plan.short_ways.items():
            os.makedirs(self.root + os.path.dirname(link), 0o755, exist_ok=True)
            os.symlink(target, self.root + link)
        for place, text in plan.texts.items():
            write(self.root + place, text)

    def mirror(self, image: str, inside: str, points: list) -> None:
        """What the image has, bound read-only; directories that something else stands in are made anew."""
        for entry in sorted(os.scandir(image), key=lambda entry: entry.name):
            below = [point[1:] for point in points if point[0] == entry.name]
            target = f"{self.root}{inside}/{entry.name}"
            if [] in below:
                continue
            if entry.is_symlink():
                if below:
                    raise ValueError(f"{inside}/{entry.name} is a link in the image and would be a folder")
                os.symlink(os.readlink(entry.path), target)
            elif not entry.is_dir():
                if entry.is_file():
                    self.make(target, folder=False)
                    namespace.bind(entry.path, target, MS_RDONLY | _SAFE)
            elif all(_can_stand(entry.path, point) for point in below):
                os.mkdir(target, 0o755)
                namespace.bind(entry.path, target, MS_RDONLY | _SAFE)
            else:
                os.mkdir(target, 0o755)
                self.mirror(entry.path, f"{inside}/{entry.name}", below)

    def own(self) -> None:
        """What each session has for itself."""
        size = max(self.plan.tmp_bytes, SMALLEST_TMP)
        for path in OWN:
            os.makedirs(self.root + path, 0o755, exist_ok=True)
        for path in ("/tmp", "/var/tmp"):
            namespace.tmpfs(self.root + path, f"mode=1777,size={size}")
        namespace.bind("/sys", self.root + "/sys", MS_RDONLY | _SAFE)
        namespace.bind("/proc", self.root + "/proc")
        dev = self.root + "/dev"
        namespace.tmpfs(dev, "mode=0755,size=1m")
        for name in ("pts", "shm"):
            os.mkdir(f"{dev}/{name}", 0o755)
        namespace.devpts(f"{dev}/pts")
        namespace.tmpfs(f"{dev}/shm", f"mode=1777,size={size}")
        for name, target in _LINKS.items():
            os.symlink(target, f"{dev}/{name}")
        given = [path for path in self.devices if path.startswith("/dev/")]
        for path in [f"/dev/{name}" for name in DEVICES] + given:
            self.bind(path, 0)
        namespace.restrict(dev, MS_RDONLY | MS_NOSUID, below=False)

    def names(self) -> None:
        """Users and groups by name, the image's few and the person's; machines as the node knows them."""
        texts = {"passwd": passwd(self.plan.person, slurm_account()), "group": group(self.plan.person)}
        texts.update({name: node_text(f"/etc/{name}") for name in ("hosts", "resolv.conf")})
        for name, text in texts.items():
            source = f"{os.path.dirname(self.root)}/{name}"
            with open(source, "w") as file:
                file.write(text)
            os.chmod(source, 0o444)
            target = f"{self.root}/etc/{name}"
            if not os.path.exists(target):
                self.make(target, folder=False)
            namespace.bind(source, target, MS_RDONLY | _SAFE)

    def bind(self, path: str, flags: int) -> None:
        target = self.root + path
        if not os.path.lexists(target):
            self.make(target, folder=os.path.isdir(path))
        namespace.bind(path, target, flags)

    def make(self, target: str, folder: bool) -> None:
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if folder:
            os.mkdir(target, 0o755)
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444))


def write(path: str, text: str) -> None:
    """A file of the session that was not there; in what its mount makes read-only. Raises OSError."""
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444), "w", encoding="utf-8") as file:
        file.write(text)


def _can_stand(folder: str, point: list) -> bool:
    """Whether the image already has something at `point`, with no link on the way, that can be mounted on."""
    path = folder
    for name in point:
        path = f"{path}/{name}"
        if os.path.islink(path) or not os.path.exists(path):
            return False
    return True


def unique(binds: tuple) -> list:
    """One bind a path; where two ask for the same, read-only wins."""
    found = {}
    for bind in binds:
        known = found.get(bind.path)
        if known is None or (bind.read_only and not known.read_only):
            found[bind.path] = bind
    return list(found.values())
