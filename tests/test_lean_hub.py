"""What the tests' hubs leave out is nothing that any hub has a use for."""

from pathlib import Path

import jupyterhub
import yaml

from visa_sharing.audit.kinds import kinds


def formats(value):
    """Every `format` in a schema, however deep."""
    if isinstance(value, dict):
        found = {value["format"]} if isinstance(value.get("format"), str) else set()
        return found.union(*(formats(one) for one in value.values()))
    return set().union(*(formats(one) for one in value)) if isinstance(value, list) else set()


def test_no_schema_has_the_formats_that_only_the_left_out_module_checks():
    files = [*Path(jupyterhub.__file__).parent.glob("event-schemas/**/*.yaml")]
    schemas = [yaml.safe_load(path.read_text()) for path in files]
    schemas += [schema._schema for schema in kinds().values()]
    assert len(files) >= 1 and "date-time" in formats(schemas), "they were read"
    assert not {"iri", "iri-reference"} & formats(schemas)
