"""The table of roles in the operators' documentation is the one that the session goes by."""

from __future__ import annotations

from visa_session.roles import OWNERS, READ, TABLE, Role

from .hubside import TREE

BEGIN, END = "<!-- from visa_session/roles.py -->\n", "<!-- end -->\n"
COLUMNS = (Role.VIEWER, Role.COLLABORATOR, Role.OWNER)


def table() -> str:
    """One line a rule: what it is, who may read or change it."""
    lines = ["| what | not logged in | viewer | collaborator | owner |", "| --- | --- | --- | --- | --- |"]
    for rule in TABLE:
        word = "reads" if set(rule.methods) <= set(READ) else "works"
        marks = [word if rule.anyone else ""]
        marks += [word if rule.anyone or role in rule.roles else "" for role in COLUMNS]
        lines.append(f"| {rule.why} | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"


def test_the_documented_table_is_the_real_one():
    text = (TREE / "docs/operators/security.md").read_text()
    assert text.split(BEGIN)[1].split(END)[0] == table()


def test_the_owner_too_goes_by_a_rule():
    assert all(rule.roles == (Role.OWNER,) and not rule.anyone for rule in OWNERS)
