"""Prints which revision of the database this release's packages want: the hub's own and VISA's."""

from pathlib import Path

import jupyterhub
from alembic.config import Config
from alembic.script import ScriptDirectory

import visa_sharing

heads = []
for folder in (
    Path(jupyterhub.__file__).parent / "alembic",
    Path(visa_sharing.__file__).parent / "migrations",
):
    config = Config()
    config.set_main_option("script_location", str(folder))
    heads += sorted(ScriptDirectory.from_config(config).get_heads())
print(" ".join(heads))
