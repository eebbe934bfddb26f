"""Every kind of line has a schema, the contract and the operators' page name it, and nothing else gets in."""

import re
from pathlib import Path

import pytest
from jupyter_events.logger import EventLogger

from visa_sharing.audit.kinds import PREFIX, Unfit, check, kinds
from visa_sharing.audit.record import record
from visa_sharing.database import now

ROOT = Path(__file__).parents[2]
#: A value of each form that a detail may have, and one that it may not.
GOOD_AND_BAD = {
    "text": ("", 7),
    "name": ("x", ""),
    "names": (["x"], [""]),
    "count": (0, -1),
    "id": (1, 0),
    "time": ("2026-05-01T00:00:00Z", "soon"),
    "flag": (True, 1),
    "role": ("viewer", "owner"),
    "way": ("link", "window"),
    "answer": ("watch", "yes"),
}


def form_of(schema):
    return next(name for name, (good, bad) in GOOD_AND_BAD.items() if fits(schema, good, bad))


def fits(schema, good, bad):
    from jsonschema import Draft7Validator, FormatChecker

    validator = Draft7Validator(schema, format_checker=FormatChecker())
    return validator.is_valid(good) and not validator.is_valid(bad)


def example(what):
    """A line of a kind that has all it may have."""
    schema = kinds()[what]._schema["properties"]
    line = {name: "x" for name in ("owner", "session", "who", "whom")}
    details = {name: GOOD_AND_BAD[form_of(form)][0] for name, form in schema["details"]["properties"].items()}
    return line | {"what": what, "role": "viewer", "address": "::1", "details": details}


def test_the_contract_names_exactly_these_kinds():
    contract = (ROOT / "docs/developers/sharing.md").read_text()
    listed = re.search(r"`what` is one of\s+`([^`]*)`", contract)[1].split()
    assert sorted(listed) == sorted(kinds())


def test_the_operators_page_has_a_line_for_each_kind():
    rows = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs/operators/support.md").read_text(), re.M)
    assert sorted(rows) == sorted(kinds())


@pytest.mark.parametrize("what", sorted(kinds()))
def test_each_kind_is_checked(what):
    good = example(what)
    check(good)
    required = kinds()[what]._schema["properties"]["details"]["required"]
    bad = [good | {"more": 1}, good | {"details": good["details"] | {"more": 1}}, good | {"owner": None}]
    bad += [good | {"role": "root"}, good | {"address": "x" * 65}, good | {"details": "x"}]
    bad += [good | {"details": {k: v for k, v in good["details"].items() if k != name}} for name in required]
    for name, form in kinds()[what]._schema["properties"]["details"]["properties"].items():
        bad.append(good | {"details": good["details"] | {name: GOOD_AND_BAD[form_of(form)][1]}})
    for line in bad:
        with pytest.raises(Unfit):
            check(line)


def test_who_and_what_a_line_is_about_cannot_be_left_out():
    with pytest.raises(Unfit, match="owner"):
        check(example("member-granted") | {"owner": ""})
    with pytest.raises(Unfit, match="role"):
        check(example("team-shared") | {"role": ""})
    with pytest.raises(Unfit, match="no kind 'made-up'"):
        check(example("locked") | {"what": "made-up"})


def test_a_line_that_does_not_fit_is_not_added_to_the_transaction():
    class Session(list):
        add = list.append

    db = Session()
    with pytest.raises(Unfit, match="secret"):
        record(db, "locked", owner="a", session="b", who="a", secret="x")
    assert db == []
    record(db, "member-granted", owner="a", session="b", whom="c", role="viewer", way="link", until=now())
    assert db[0].details["until"].endswith("Z")


def test_the_hubs_event_log_takes_them_all():
    log = EventLogger(handlers=[])
    for schema in kinds().values():
        log.register_event_schema(schema._schema)
    assert {PREFIX + what for what in kinds()} <= set(log.schemas.schema_ids)
