"""JupyterLab's settings: each schema is checked once, and by nobody's request."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from jsonschema import Draft7Validator, SchemaError

from visa_session.schemas import Remembering

from .hubside import TREE

GOOD = {"type": "object", "properties": {"size": {"type": "number"}}}


@pytest.fixture
def checked(monkeypatch):
    """What was really checked, in order."""
    seen = []
    check = Draft7Validator.check_schema

    def checking(schema):
        seen.append(schema)
        check(schema)

    monkeypatch.setattr(Draft7Validator, "check_schema", checking)
    return seen


def test_a_good_schema_is_checked_once_and_a_changed_one_anew(checked):
    remembering = Remembering()
    for _ in range(3):
        remembering.check_schema(json.loads(json.dumps(GOOD)))
    assert len(checked) == 1
    remembering.check_schema(GOOD | {"title": "changed"})
    assert len(checked) == 2


def test_a_bad_schema_is_refused_each_time(checked):
    remembering = Remembering()
    for _ in range(2):
        with pytest.raises(SchemaError):
            remembering.check_schema(GOOD | {"type": "thing"})
    assert len(checked) == 2


def test_settings_are_still_held_against_their_schema():
    assert not list(Remembering()(GOOD).iter_errors({"size": 1}))
    assert list(Remembering()(GOOD).iter_errors({"size": "large"}))


ASKED = """
import json
from jsonschema import Draft7Validator
from visa_session.schemas import check_beforehand
checked, check = [], Draft7Validator.check_schema
Draft7Validator.check_schema = lambda schema: (checked.append(schema), check(schema))
check_beforehand()
before = len(checked)
# As the page's first request does it.
from jupyter_core.paths import jupyter_path
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import get_settings
app = get_app_dir()
found, _ = get_settings(
    app + "/settings", app + "/schemas", "/nonexistent", labextensions_path=jupyter_path("labextensions")
)
print(json.dumps([before, len(checked), len(found["settings"])]))
"""


def test_a_page_finds_them_checked():
    done = subprocess.run(
        [sys.executable, "-c", ASKED],
        env={"PYTHONPATH": str(TREE)},
        capture_output=True,
        text=True,
        check=True,
    )
    before, after, found = json.loads(done.stdout)
    assert after == before
    assert found >= before > 50
