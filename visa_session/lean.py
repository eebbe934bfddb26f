"""Import the single-user server without what a session never uses.

A stock start spends most of its time importing modules that do nothing inside a session. Four shortcuts,
each of which leaves what runs unchanged:

- `rfc3987_syntax` is an optional dependency of jsonschema, wanted for the formats `iri` and
  `iri-reference` alone. It builds a grammar when imported, which takes a second. jsonschema is written to
  do without it, and no schema of Jupyter's uses those formats.
- `jupyterhub.singleuser` pulls in the hub's page handlers and its database layer (SQLAlchemy, alembic)
  through helpers shared with the hub. In a session they are only ever named, in functions that the hub
  calls. While importing, they are replaced by empty modules that answer no attribute, so that a use of
  one would be an error and never a silent difference.
- JupyterLab asks `yarn` for its registry when imported, where a node is installed: 0.3 s, and only of use
  to who rebuilds JupyterLab.
- Each of six applications builds a parser of hundreds of options to parse no argument: a third of the time
  from the imports to a server that listens.

The empty modules are taken away afterwards: an extension that wants SQLAlchemy gets the real one. If a
new version of a package asks for more than the empty modules hold, `import_server` imports in full.
"""

from __future__ import annotations

import gc
import importlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

log = logging.getLogger("visa")

#: Optional dependencies that cost more than they are worth; None makes `import` raise ImportError.
UNWANTED = ("rfc3987_syntax",)

#: The hub's side of shared helpers, and the few names that are imported from it.
HUB_SIDE: dict[str, dict[str, type]] = {
    "sqlalchemy": {},
    "sqlalchemy.exc": {"SQLAlchemyError": type("SQLAlchemyError", (Exception,), {})},
    "jupyterhub.orm": {},
    "jupyterhub.roles": {},
    "jupyterhub.handlers": {},
    # Only compared with the class of a handler, to log health checks quietly: no session has one.
    "jupyterhub.handlers.pages": {"HealthCheckHandler": type("HealthCheckHandler", (), {})},
}


@contextmanager
def hub_side_left_out() -> Iterator[None]:
    """Stand empty modules in for the hub's side, and take them away again."""
    import jupyterhub

    names = [name for name in HUB_SIDE if name not in sys.modules]
    for name in names:
        module = ModuleType(name, "Left out of a session's server: see visa_session.lean.")
        module.__path__ = []  # a package: its submodules are looked up in sys.modules, then refused
        module.__dict__.update(HUB_SIDE[name])
        sys.modules[name] = module
    stand_ins = {name: sys.modules[name] for name in names}
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
            attribute = name.removeprefix("jupyterhub.")
            if jupyterhub.__dict__.get(attribute) is module:
                delattr(jupyterhub, attribute)


@contextmanager
def optional_left_out() -> Iterator[None]:
    """Let the optional dependencies in `UNWANTED` look as if they were not installed."""
    blocked = [name for name in UNWANTED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))
    try:
        yield
    finally:
        for name in blocked:
            sys.modules.pop(name, None)


def leave_yarn_alone() -> None:
    """Answer JupyterLab's question for yarn's registry as a machine without node does."""
    import jupyterlab.commands

    if hasattr(jupyterlab.commands, "_yarn_config"):
        jupyterlab.commands._yarn_config = lambda logger: {"yarn config": {}, "npm config": {}}


def parse_nothing_quickly() -> None:
    """Let an application that is given no argument build no parser: its settings are empty either way."""
    from traitlets.config import Application, Config

    parse = Application.parse_command_line

    def parse_command_line(self, argv=None):
        if argv is None or len(argv) > 0:
            return parse(self, argv)
        self.argv, self.cli_config, self.extra_args = [], Config(), []

    Application.parse_command_line = parse_command_line


def import_handlers() -> None:
    """Import the modules that a server asks for by name, and only when it is set up."""
    from jupyter_server.serverapp import JUPYTER_SERVICE_HANDLERS

    for names in JUPYTER_SERVICE_HANDLERS.values():
        for name in names or ():
            importlib.import_module(name)


def import_server() -> None:
    """Import JupyterHub's single-user extension and JupyterLab, quickly."""
    gc.disable()  # nothing imported is garbage: collecting meanwhile costs a tenth of the time
    try:
        with optional_left_out():
            try:
                with hub_side_left_out():
                    import jupyterhub.singleuser.extension  # noqa: F401
            except (ImportError, AttributeError) as error:
                log.warning("Importing JupyterHub in full: %s", error)
                for name in [name for name in sys.modules if name.startswith("jupyterhub.")]:
                    del sys.modules[name]
                importlib.import_module("jupyterhub.singleuser.extension")
            parse_nothing_quickly()
            leave_yarn_alone()
            import jupyter_server_fileid.extension  # noqa: F401
            import jupyter_server_proxy  # noqa: F401
            import jupyter_server_terminals  # noqa: F401
            import jupyter_server_ydoc.app  # noqa: F401
            import jupyterlab.labapp  # noqa: F401

            import_handlers()
    finally:
        gc.enable()
        gc.freeze()  # and it stays: later collections need not look at it again
