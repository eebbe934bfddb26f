"""Whether what the hub trusts can be changed by others, and what it keeps be read by them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from ..finding import Finding, fine, warning, wrong
from ..installation import Installation
from ..looking import Look, in_thread

#: Others may not write; others may not read.
CHANGE, READ = 0o022, 0o077


@dataclass(frozen=True)
class Kept:
    """A path, what it is, and the bits of its mode that must not be there.

    `refused`: with such a mode the hub does not start, or starts no session.
    """

    path: Path
    what: str
    forbidden: int
    refused: bool = False


async def look(here: Installation) -> Look:
    """Files and directories of the settings, by owner and mode; one that is not there is another check's."""
    found = await in_thread(lambda: [one for kept in _once(_kept(here)) for one in _faults(kept)])
    for finding in found:
        yield finding
    if not found:
        yield fine("What the hub reads and keeps is its own account's alone to change.")


def _kept(here: Installation) -> Iterator[Kept]:
    folder = Path(os.environ.get("VISA_CONFIG_D") or here.config_file.parent / "jupyterhub_config.d")
    yield Kept(here.config_file, "the hub's configuration, which it runs", CHANGE)
    yield Kept(here.config_file.parent, "the directory of the hub's configuration", CHANGE)
    yield Kept(folder, "the directory of the site's settings", CHANGE)
    for path in sorted(folder.glob("*.py")):
        yield Kept(path, "the site's settings, which the hub runs", CHANGE)
    profiles = Path(here.site.profiles_dir)
    yield Kept(profiles, "the directory of the profiles", CHANGE)
    for path in sorted(profiles.glob("*.y*ml")):
        yield Kept(path, "a profile", CHANGE)
    address = here.config.get("VisaSite", {}).get("catalogue_address", "")
    if isinstance(address, str) and address.startswith("file://"):
        path = Path(address.removeprefix("file://"))
        yield Kept(path, "the catalogue, which says what sessions may reach", CHANGE)
        yield Kept(path.parent, "the catalogue's directory", CHANGE)
    if here.site.pin_binds:
        yield Kept(Path(here.site.staging_dir), "where data are pinned for a start", READ, refused=True)
    url = make_url(here.app.db_url)
    if url.get_backend_name() == "sqlite" and url.database:
        yield Kept(Path(url.database), "the hub's database", 0o027)
    register = here.config.get("VisaAuthenticator", {}).get("uid_register")
    if register:
        yield Kept(Path(register), "the register of uids", CHANGE)
        yield Kept(Path(register).parent, "the directory of the register of uids", CHANGE)
    cookie_secret = Path(here.app.cookie_secret_file).absolute()
    yield Kept(cookie_secret.parent, "the directory of the hub's cookie secret", CHANGE)
    for path in (*here.environment_files, *here.files_beside):
        yield Kept(path.parent, "the directory of the services' secrets", CHANGE)
    if here.sharing.events_file:
        yield Kept(Path(here.sharing.events_file), "the audit log, with people's names and addresses", 0o027)


def _once(all_kept: Iterator[Kept]) -> Iterator[Kept]:
    """Each path by the first reason for which it is there."""
    seen: set[Path] = set()
    for kept in all_kept:
        path = kept.path.absolute()
        if path not in seen:
            seen.add(path)
            yield kept


def _faults(kept: Kept) -> Iterator[Finding]:
    try:
        found = kept.path.stat()
    except OSError:
        return
    mode, path = stat.S_IMODE(found.st_mode), kept.path.absolute()
    if found.st_uid not in (0, os.geteuid()):
        what = f"{path}, {kept.what}, belongs to uid {found.st_uid}, not to root."
        yield wrong(what, f"`chown root {path}`, and look at what that account has changed in it.", str(path))
    may_change = mode & kept.forbidden & CHANGE
    if may_change or (mode & kept.forbidden and not _out_of_reach(path)):
        told = wrong if may_change or kept.refused else warning
        what = (
            f"{path}, {kept.what}, has mode {mode:04o}: others may {'change' if may_change else 'read'} it."
        )
        mend = f"`chmod {mode & ~kept.forbidden:04o} {path}`"
        yield told(
            what, f"{mend}, and look at what others have done there." if may_change else f"{mend}.", str(path)
        )


def _out_of_reach(path: Path) -> bool:
    """Whether a directory above lets nobody but its owner and group pass."""
    return any(not above.stat().st_mode & stat.S_IXOTH for above in path.parents)
