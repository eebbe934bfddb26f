"""Check the schemas of JupyterLab's settings once, and before anybody waits for it.

JupyterLab's page draws nothing before it has the settings of all its plugins, and the server checks the
schema of each of them for every such request: most of the time that it takes. They are the image's, the same
for everybody; one that changes is checked anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cache
from pathlib import Path

from jsonschema import Draft7Validator
from jupyter_core.paths import ENV_JUPYTER_PATH, SYSTEM_JUPYTER_PATH
from jupyterlab.commands import get_app_dir
from jupyterlab_server import settings_utils

log = logging.getLogger("visa")

#: JupyterLab's part of what people see of each other, made by hand: no bundler, no copy to install.
LAB_EXTENSIONS = Path(__file__).parent / "labextensions"


class Remembering:
    """In place of `Draft7Validator` where settings are read: what was found good is not checked again."""

    def __init__(self) -> None:
        self._good: set[bytes] = set()

    def __call__(self, schema: dict) -> Draft7Validator:
        return Draft7Validator(schema)

    def check_schema(self, schema: dict) -> None:
        """Raise SchemaError for what is no schema, each time."""
        digest = hashlib.sha256(json.dumps(schema).encode()).digest()
        if digest not in self._good:
            Draft7Validator.check_schema(schema)
            self._good.add(digest)


@cache
def check_beforehand() -> None:
    """Have the image's schemas checked; harmless where that fails: it is done when they are asked for."""
    if getattr(settings_utils, "Validator", None) is Draft7Validator:
        settings_utils.Validator = Remembering()
    image = [f"{path}/labextensions" for path in (*ENV_JUPYTER_PATH, *SYSTEM_JUPYTER_PATH)]
    app = Path(get_app_dir())
    try:
        settings_utils.get_settings(
            str(app / "settings"),
            str(app / "schemas"),
            "/nonexistent",  # nobody's
            labextensions_path=[str(LAB_EXTENSIONS), *image],
        )
    except Exception:
        log.exception("The schemas of JupyterLab's settings could not be checked beforehand")
