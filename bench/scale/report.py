"""The figures as a table: a line each, a column a size."""

from __future__ import annotations


def table(found: list[dict]) -> str:
    """Markdown; what is a list or words is left to the lines before it."""
    names = [name for name, value in found[0].items() if isinstance(value, bool | int | float)]
    head = ["figure", *(f"{one['sessions']:,}" for one in found)]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for name in names[1:]:
        lines.append(f"| {name} | " + " | ".join(plain(one.get(name)) for one in found) + " |")
    return "\n".join(lines) + "\n"


def plain(value) -> str:
    """A number as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 1 else f"{value:,.1f}"
