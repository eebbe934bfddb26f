"""Apptainer on Debian 12, which has no package of it: Debian sid's, with the libraries it was made for.

It stands in a directory of its own, as its packages have it; its two programs are told to take the C library
from there, and find all else beside them, since Apptainer may be moved. `find` of the node program has it by
a link.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from images.host import mirrors

#: Kept for the next run: it takes ten seconds.
FOLDER = Path("/var/lib/visa-test-apptainer")
PROGRAM = Path("/usr/local/bin/apptainer")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
#: sid moves. Before 1.1 there are no jobs of ordinary accounts; 2 is not known yet.
OLDEST, TOO_NEW = (1, 1), (2, 0)


def install() -> str:
    """Have `apptainer` on this machine; its version. Fails, in words, where sid has none that fits."""
    place = FOLDER / "sid"
    if not place.is_dir():
        new = FOLDER / "new"
        shutil.rmtree(new, ignore_errors=True)
        FOLDER.mkdir(exist_ok=True)
        _unpack(new)
        _patch(new, place)
        new.rename(place)
    if not PROGRAM.exists():
        PROGRAM.unlink(missing_ok=True)
        PROGRAM.symlink_to(place / "usr/bin/apptainer")
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    version = said.stdout.split()[-1]
    numbers = tuple(int(number) for number in version.split("-")[0].split(".")[:2])
    assert OLDEST <= numbers < TOO_NEW, (
        f"Debian sid has Apptainer {version}, which is not known to these tests"
    )
    return version


def _unpack(new: Path) -> None:
    # A mirror may hold sid for longer than it is said to be valid.
    options = ["--quiet", "--variant=extract", "--include=apptainer"]
    options += ['--aptopt=Acquire::Check-Valid-Until "false"']
    done = subprocess.run(
        ["mmdebstrap", *options, "sid", new, mirrors().main], capture_output=True, text=True
    )
    assert done.returncode == 0, f"Debian sid's Apptainer cannot be had: {done.stderr}"


def _patch(new: Path, place: Path) -> None:
    """Its own C library for both programs; what they look for beside them, each from where it is."""
    for program in ("usr/bin/apptainer", f"{LIBRARIES}/apptainer/bin/starter"):
        libraries = place / LIBRARIES
        own = [
            "--set-interpreter",
            libraries / "ld-linux-x86-64.so.2",
            "--force-rpath",
            "--set-rpath",
            libraries,
        ]
        subprocess.run(["patchelf", *own, new / program], check=True)
    for link, target in (
        ("usr/etc", "../etc"),
        ("usr/var", "../var"),
        ("usr/lib/etc", "../../etc"),
        ("usr/lib/var", "../../var"),
        ("usr/lib/lib", "."),
    ):
        (new / link).symlink_to(target)
    (new / "var/lib/apptainer/mnt/session").mkdir(exist_ok=True)
