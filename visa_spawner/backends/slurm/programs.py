"""Write the programs to install: `python -m visa_spawner.backends.slurm.programs DIR`.

Two files: `visa-slurm-launch` for the hub's machine and `visa-slurm-node` for every node. Each is one archive
of plain Python, the same bytes from the same sources, that any Python from 3.9 on runs by itself.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from .launch.configuration import PLACE

TREE = Path(__file__).resolve().parents[3]
LAUNCH, NODE = "visa-slurm-launch", "visa-slurm-node"
#: Where docs/operators/slurm.md has them installed.
LAUNCH_PLACE, NODE_PLACE = f"/usr/local/sbin/{LAUNCH}", f"/usr/local/libexec/{NODE}"
#: Before which no archive can be dated.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
#: With -I, neither the person's environment nor their directories have a say in what is imported.
_FIRST_LINE = "#!{python} -I\n"

EXAMPLE = {
    "sbatch": "/usr/bin/sbatch",
    "scancel": "/usr/bin/scancel",
    "scontrol": "/usr/bin/scontrol",
    "slurm_conf": "",
    "python": "/usr/bin/python3",
    "node_program": NODE_PLACE,
    "spool": "/shared/visa/spool/{uid}",
    "min_uid": 1000,
    "partitions": [],
    "extend": False,
    "hub_id": "",
    "seats_user": "",
    "timeout": 15,
}


def launch_program(configuration: str = PLACE, python: str = "/usr/bin/python3") -> bytes:
    """The launcher, which reads its configuration at the place that is written into it here."""
    package = "visa_spawner.backends.slurm.launch"
    return _archive(["visa_spawner/backends/slurm/launch"], package, repr(configuration), python)


def node_program(python: str = "/usr/bin/python3") -> bytes:
    """The node program."""
    sources = ["visa_spawner/backends/slurm/node", "visa_session/contract.py", "visa_session/__init__.py"]
    shared = [f"visa_spawner/backends/{name}.py" for name in ("accounts", "software")]
    return _archive([*sources, *shared], "visa_spawner.backends.slurm.node", "", python)


def write(directory: Path, configuration: str = PLACE, python: str = "/usr/bin/python3") -> list[Path]:
    """Write both programs and an example of the configuration; the paths written."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content, mode in (
        (LAUNCH, launch_program(configuration, python), 0o755),
        (NODE, node_program(python), 0o755),
        ("slurm.json.example", (json.dumps(EXAMPLE, indent=2) + "\n").encode(), 0o644),
    ):
        new = directory / f".{name}.new"
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        new.chmod(mode)
        written.append(new.replace(directory / name))
    return written


def sudo_rule(user: str, program: str = LAUNCH_PLACE) -> str:
    """The one rule that the hub's account needs; raises ValueError for a name or path that would say more."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", user) or user == "ALL":
        raise ValueError(f"{user!r} is no account for a sudo rule")
    if not re.fullmatch(r"(/[A-Za-z0-9_.+-]+)+", program):
        raise ValueError(f"{program!r} is no path for a sudo rule")
    # "": no arguments. sudo's own records of what goes in and out would hold sessions' tokens.
    return (
        f"Defaults!{program} !requiretty, !use_pty, !log_input, !log_output\n"
        f'{user} ALL=(root) NOPASSWD: {program} ""\n'
    )


def _archive(sources: Iterable[str], package: str, argument: str, python: str) -> bytes:
    files = {"__main__.py": f"from {package}.__main__ import main\n\nmain({argument})\n".encode()}
    for source in sources:
        path = TREE / source
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            files[str(file.relative_to(TREE))] = file.read_bytes()
        # The packages above, which say no more than what they are.
        for above in list(Path(source).parents)[:-1]:
            files.setdefault(f"{above}/__init__.py", (TREE / above / "__init__.py").read_bytes())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return _FIRST_LINE.format(python=python).encode() + buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m visa_spawner.backends.slurm.programs", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("directory", nargs="?", type=Path, metavar="DIR", help="where to write them")
    parser.add_argument("--python", default="/usr/bin/python3", help="Python that runs them (%(default)s)")
    parser.add_argument("--configuration", default=PLACE, help="the launcher's configuration (%(default)s)")
    parser.add_argument("--show-sudoers", metavar="USER", help="print the sudo rule for the hub's account")
    parser.add_argument("--launcher", default=LAUNCH_PLACE, help="the path in that rule (%(default)s)")
    options = parser.parse_args(arguments)
    if options.directory is None and options.show_sudoers is None:
        parser.error("name a directory, or --show-sudoers USER")
    if options.show_sudoers is not None:
        try:
            print(sudo_rule(options.show_sudoers, options.launcher), end="")
        except ValueError as error:
            parser.error(str(error))
    if options.directory is not None:
        for path in write(options.directory, options.configuration, options.python):
            print(path, file=sys.stderr if options.show_sudoers else sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
