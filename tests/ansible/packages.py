"""What machines install, made on this one: two releases of VISA, and packages of Python and node.

Machines have these folders bound, so that each run does not ask the registries for the same again.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jupyterhub
from alembic.config import Config
from alembic.script import ScriptDirectory

import visa_sharing
from demo.node import node, npm

from .playbook import ANSIBLE, ROOT

#: Kept for the next run.
CACHE = Path("/var/lib/visa-test-ansible")
PROXY = ANSIBLE / "roles/hub/files/proxy"
#: By its path: the folder ansible/ is no package, and Ansible's own has that name.
PACKAGE = runpy.run_path(str(ANSIBLE / "package.py"))
wheel, recipes = PACKAGE["wheel"], PACKAGE["recipes"]


def before(folder: Path) -> Path:
    """The tree of the commit before this one, with its wheel: what the upgrade comes from.

    Where there is no history, this tree is both. A line more in its configuration makes it another release.
    """
    tree = folder / "before"
    tree.mkdir()
    git = ["git", "-C", str(ROOT)]
    known = subprocess.run([*git, "rev-parse", "--verify", "--quiet", "HEAD~1"], stdout=subprocess.DEVNULL)
    commit = "HEAD~1" if known.returncode == 0 else "HEAD"
    archive = subprocess.run([*git, "archive", "--format=tar", commit], stdout=subprocess.PIPE, check=True)
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    with (tree / "jupyterhub_config.py").open("a") as file:
        file.write("# The release before, in a test.\n")
    wheel(tree, tree / "dist")
    recipes(ROOT, tree / "dist")  # images are no part of a release: this tree's are there
    return tree


def now(folder: Path) -> Path:
    """This tree with its wheel; in a folder of its own, for the tree's own dist/ is its owner's."""
    tree = folder / "now"
    tree.mkdir()
    for name in ("jupyterhub_config.py", "constraints.txt", "setup.cfg"):
        shutil.copy(ROOT / name, tree)
    wheel(ROOT, tree / "dist")
    recipes(ROOT, tree / "dist")
    return tree


def wanted(tree: Path) -> tuple[str, str]:
    """The hub's packages of a tree, and what they depend on."""
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(tree / "setup.cfg")
    return settings["options.extras_require"]["hub"].lstrip(), (tree / "constraints.txt").read_text()


def wheels(*trees: Path) -> Path:
    """All that the extra `hub` of these trees needs, and node, as wheels."""
    wants = {wanted(tree): tree for tree in trees}
    content = f"{sys.version}{sorted(wants)}{(PROXY / 'requirements.txt').read_text()}"
    place = CACHE / f"wheels-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    if not place.exists():
        new = CACHE / "wheels-new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "-q", "--wheel-dir", new]
        for want, tree in wants.items():
            (new / "hub.txt").write_text(want[0])
            files = ["-c", tree / "constraints.txt", "-r", new / "hub.txt", "-r", PROXY / "requirements.txt"]
            subprocess.run([*pip, *files], check=True)
        (new / "hub.txt").unlink()
        for old in CACHE.glob("wheels-*"):
            if old != new:
                shutil.rmtree(old)
        new.rename(place)
    return place


REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "{name}", "{head}"
branch_labels = depends_on = None


def upgrade():
    op.add_column("{table}", sa.Column("in_a_test", sa.Integer(), nullable=True))
    op.execute("UPDATE {table} SET in_a_test = id")
"""


def heads(scripts: Path) -> str:
    config = Config()
    config.set_main_option("script_location", str(scripts))
    return ScriptDirectory.from_config(config).get_current_head()


def migrates(tree: Path, wheels: Path) -> Path:
    """Have a tree's release migrate the database: JupyterHub's tables, and VISA's, get one revision more.

    In the tree's own wheel, and in one of JupyterHub's that pip takes before the one in `wheels`: its folder.
    """
    folder = tree / "wheels"
    folder.mkdir()
    (hub,) = wheels.glob("jupyterhub-*.whl")
    name, version, rest = hub.name.split("-", 2)
    later = shutil.copy(hub, folder / f"{name}-{version}-1-{rest}")  # a build of its own, which pip prefers
    (own,) = (tree / "dist").glob("*.whl")
    for path, package, inside, table in (
        (later, jupyterhub, "alembic", "users"),
        (own, visa_sharing, "migrations", "visa_events"),
    ):
        head = heads(Path(package.__file__).parent / inside)
        place = f"{package.__name__}/{inside}/versions/in_a_test.py"
        text = REVISION.format(name=f"test_{table}", head=head, table=table)
        with zipfile.ZipFile(path, "a") as wheel:
            wheel.writestr(place, text)
    return folder


def debs(name: str = "debs") -> Path:
    """Debian's packages that machines have fetched, for those that come after; apt locks the folder."""
    place = CACHE / name
    (place / "partial").mkdir(parents=True, exist_ok=True)
    return place


def software(name: str, of: str = "") -> Path:
    """A machine's /opt/visa: empty, or with the releases of another machine, which never change."""
    place = CACHE / f"software-{name}"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if of:
        there = CACHE / f"software-{of}"
        subprocess.run(["cp", "-al", there / "releases", there / "proxy", place], check=True)
    return place


def remove_software() -> None:
    for place in CACHE.glob("software-*"):
        shutil.rmtree(place)


def npm_cache() -> Path:
    """npm's cache with the proxy's packages in it."""
    mark = hashlib.sha256((PROXY / "package-lock.json").read_bytes()).hexdigest()[:16]
    place = CACHE / f"npm-{mark}"
    if not place.exists():
        new = CACHE / "npm-new"
        shutil.rmtree(new, ignore_errors=True)
        shutil.copytree(PROXY, new / "work")
        path = f"{node().parent}:{os.environ.get('PATH', '')}"
        command = [*npm(), "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
        command += ["--cache", str(new / "cache")]
        subprocess.run(command, cwd=new / "work", check=True, env=os.environ | {"PATH": path})
        shutil.rmtree(new / "work")
        new.rename(place)
    return place / "cache"
