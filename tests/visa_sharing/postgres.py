"""A PostgreSQL cluster of the tests' own, run by an unprivileged account, reached by a socket alone."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path


def _programs():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    assert found, "PostgreSQL's server is not installed on this machine (Debian: postgresql)"
    return found[-1].parent


@contextlib.contextmanager
def cluster():
    """Its SQLAlchemy address but for the database's name, and a function that makes an empty database."""
    programs, account = _programs(), "nobody"
    person = pwd.getpwnam(account)
    folder = Path(tempfile.mkdtemp(prefix="visa-pg-"))
    os.chown(folder, person.pw_uid, person.pw_gid)

    def run(program, *arguments):
        done = subprocess.run(
            [programs / program, *arguments],
            user=person.pw_uid,
            group=person.pw_gid,
            extra_groups=[],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout

    data = folder / "data"
    run("initdb", "-D", data, "-A", "trust", "-U", "visa", "--no-sync")
    options = f"-c listen_addresses='' -k {folder} -c fsync=off"
    # Its output goes to a file: a pipe would stay open for as long as the server runs.
    run("pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
    made = iter(range(1000))

    def database():
        name = f"visa{next(made)}"
        run("createdb", "-h", folder, "-U", "visa", name)
        return f"postgresql+psycopg://visa@/{name}?host={folder}"

    try:
        yield database
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder)
