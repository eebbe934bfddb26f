"""What is printed: for somebody who is on call at night, the worst and the cause of the rest first."""

from __future__ import annotations

import json
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from .finding import Finding, Verdict

_HEADINGS = {
    Verdict.WRONG: "WRONG",
    Verdict.UNCHECKED: "COULD NOT BE CHECKED",
    Verdict.WARNING: "WARNING",
}
_WORDS = {
    Verdict.WRONG: "{} wrong",
    Verdict.UNCHECKED: "{} could not be checked",
    Verdict.WARNING: "{} to look after",
    Verdict.OK: "{} fine",
}


def exit_code(findings: Iterable[Finding]) -> int:
    """0: nothing is wrong; 1: something is; 2: nothing is known to be, and not all could be checked."""
    verdicts = {finding.verdict for finding in findings}
    return 1 if Verdict.WRONG in verdicts else 2 if Verdict.UNCHECKED in verdicts else 0


def as_json(url: str, findings: Iterable[Finding], seconds: float, unused: Sequence[str] = ()) -> str:
    """One object, for programs; `unused` are checks of what this site does not have."""
    findings = list(findings)
    return json.dumps(
        {
            "site": url,
            "at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "seconds": round(seconds, 1),
            "exit_code": exit_code(findings),
            "findings": [
                {
                    "check": one.check,
                    "verdict": str(one.verdict),
                    "about": one.about,
                    "what": one.what,
                    "mend": one.mend,
                    "because": one.because,
                    "stops_the_hub": one.stops,
                }
                for one in findings
            ],
            "not_in_use": list(unused),
        },
        indent=1,
        ensure_ascii=False,
    )


def as_text(
    url: str,
    findings: Iterable[Finding],
    seconds: float,
    width: int,
    everything: bool,
    unused: Sequence[str] = (),
) -> str:
    """The findings in the table's order, by verdict; what is fine in a line, unless `everything` is told.

    `unused` are checks of what this site does not have.
    """
    findings = list(findings)
    follow = _following(findings)
    told = [one for one in findings if one not in follow]
    said = _summary(told) or "nothing to look at"
    lines = [f"{url or 'VISA'}, {datetime.now():%a %d %b %H:%M}: {said} ({seconds:.1f} s)"]
    explained: set[str] = set()
    for verdict, heading in _HEADINGS.items():
        group = [one for one in told if one.verdict is verdict]
        if group:
            lines += ["", heading]
        for one in group:
            hence = [] if one.place in explained else _consequences(one, follow)
            explained.add(one.place)
            lines += _entry(one, width, hence)
    lines += _fine([one for one in findings if one.verdict is Verdict.OK], width, everything)
    if unused:
        lines += ["", *_wrapped(f"Not in use here: {', '.join(unused)}.", width, "", "  ")]
    return "\n".join(lines)


def _summary(told: list[Finding]) -> str:
    counts = Counter(one.verdict for one in told)
    return ", ".join(_WORDS[verdict].format(counts[verdict]) for verdict in Verdict if counts[verdict])


def _following(findings: list[Finding]) -> list[Finding]:
    """What is wrong or could not be checked for a cause that is told itself: it stands there alone."""
    return [one for one in findings if any(_causes(cause, one) for cause in findings)]


def _causes(cause: Finding, one: Finding) -> bool:
    same = cause.about == one.about or not cause.about or not one.about
    both = cause.verdict is Verdict.WRONG and one.verdict in (Verdict.WRONG, Verdict.UNCHECKED)
    return both and one.because == cause.check and same


def _consequences(cause: Finding, follow: list[Finding]) -> list[str]:
    return sorted({one.check for one in follow if _causes(cause, one)})


def _entry(one: Finding, width: int, consequences: list[str]) -> list[str]:
    lines = [f"  {one.place}"]
    lines += _wrapped(one.what, width, "    ", "    ")
    if one.mend:
        lines += _wrapped(one.mend, width, "    -> ", "       ")
    if one.stops:
        lines.append("    (a hub that is started now ends with this: do not restart it before)")
    if consequences:
        lines.append(f"    (hence also: {', '.join(consequences)})")
    return lines


def _fine(fine: list[Finding], width: int, everything: bool) -> list[str]:
    if not fine:
        return []
    if everything:
        return ["", "FINE", *(line for one in fine for line in _entry(one, width, []))]
    abouts: dict[str, list[str]] = defaultdict(list)
    for one in fine:
        abouts[one.check] += [one.about] if one.about else []
    said = [f"{check} ({', '.join(names)})" if names else check for check, names in abouts.items()]
    return ["", *_wrapped(f"Fine: {', '.join(said)}.", width, "", "  ")]


def _wrapped(text: str, width: int, first: str, others: str) -> list[str]:
    """Lines of whole words: a path or a unit's name can be taken as it stands."""
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )
