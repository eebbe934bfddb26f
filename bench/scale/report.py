"""The figures as a table: a line each, a column a size."""

from __future__ import annotations

from .. import wording


def table(found: list[dict]) -> str:
    """Markdown; what is a list or words is left to the lines before it."""
    names = [name for name, value in found[0].items() if isinstance(value, bool | int | float)]
    rows = [[name, *(plain(one.get(name)) for one in found)] for name in names[1:]]
    return wording.table(["figure", *(f"{one['sessions']:,}" for one in found)], rows)


def plain(value) -> str:
    """A number as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
