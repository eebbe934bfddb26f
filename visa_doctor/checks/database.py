"""Whether the hub's database answers, quickly, and has the tables that this version works with."""

from __future__ import annotations

import time
from pathlib import Path

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from jupyterhub.dbutil import ALEMBIC_DIR
from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from visa_sharing import schema

from ..finding import Finding, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

#: Seconds for a question that costs nothing.
SLOW = 0.25
_FOLDERS_OVER_NET = ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "lustre", "beegfs", "gpfs", "ceph")
_DOWN = "The hub that runs stands still with it; sessions run on"


async def look(here: Installation) -> Look:
    """Reads alone; makes nothing where there is none."""
    url = make_url(here.app.db_url)
    for finding in await in_thread(lambda: _looked(url, here)):
        yield finding


def _looked(url: URL, here: Installation) -> list[Finding]:
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and not Path(url.database or "").is_file():
        what = f"There is no database {Path(url.database or '').absolute()} yet."
        mend = (
            "The hub makes it at its first start. If it ran before: start the doctor in its directory"
            " (--directory)."
        )
        return [warning(what, mend)]
    seconds = max(1, int(here.limit * 0.4))
    options = {} if sqlite else {"connect_timeout": seconds}
    engine = create_engine(url, connect_args=options)
    try:
        began = time.monotonic()
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            took = time.monotonic() - began
        found = _revisions(engine)
    except SQLAlchemyError as error:
        return [_silent(url, getattr(error, "orig", None) or error)]
    finally:
        engine.dispose()
    if took > SLOW:
        mend = "See its load and its disk; docs/operators/runbook.md, VisaDatabaseSlow."
        found.append(
            warning(f"The database took {took:.1f} seconds for a question that costs nothing.", mend)
        )
    if sqlite and (kind := _file_system(Path(url.database))) in _FOLDERS_OVER_NET:
        what = f"The database's file lies on {kind}, where SQLite's locks do not hold: it can be damaged."
        found.append(wrong(what, "Move it to a disk of this machine's own, or use PostgreSQL."))
    return found or [fine(f"{url.get_backend_name()} answers, and its tables are this version's.")]


def _silent(url: URL, error: BaseException) -> Finding:
    where = url.host or url.query.get("host") or "this machine"
    mend = "`systemctl status postgresql`, its log in /var/log/postgresql, and its disk; then look again."
    if url.get_backend_name() == "sqlite":
        where, mend = (
            str(Path(url.database).absolute()),
            "See whether its disk is full, and the file's owner.",
        )
    return wrong(f"The database does not answer ({where}: {worded(error)}). {_DOWN}.", mend)


def _revisions(engine: Engine) -> list[Finding]:
    hubs = AlembicConfig()
    hubs.set_main_option("script_location", ALEMBIC_DIR)
    histories = (
        (
            "JupyterHub's",
            "alembic_version",
            hubs,
            "stop the hub, take a backup, `jupyterhub upgrade-db` with the release's bin in PATH, start it",
        ),
        ("VISA's", schema.VERSION_TABLE, schema.alembic_config(), "restart the hub, which brings them there"),
    )
    there = set(inspect(engine).get_table_names())
    found = []
    for whose, table, config, mend in histories:
        scripts = ScriptDirectory.from_config(config)
        head = scripts.get_current_head()
        if table not in there:
            found.append(wrong(f"The database has none of {whose} tables.", f"{mend[0].upper()}{mend[1:]}."))
            continue
        with engine.connect() as connection:
            has = connection.execute(text(f"SELECT version_num FROM {table}")).scalar()
        if has == head:
            continue
        try:
            scripts.get_revision(has)
        except CommandError:
            what = f"{whose} tables are of a newer version than what is installed here ({has})."
            found.append(wrong(what, "Install that version again, or put the backup from before it back."))
        else:
            found.append(
                wrong(
                    f"{whose} tables are of an older version ({has}, not {head}).",
                    f"{mend[0].upper()}{mend[1:]}.",
                )
            )
    return found


def _file_system(path: Path) -> str:
    """The kind of file system that a file lies on, by the longest mount point above it."""
    path, best, kind = path.resolve(), "", ""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, this, *_ = line.split(" ")
        if path.is_relative_to(where) and len(where) >= len(best):
            best, kind = where, this
    return kind
