"""The session's passport tells of the image that the job really enters.

The hub wrote it when the job was submitted; a job may have waited for days, and the image be another by then.
"""

from __future__ import annotations

import json
from dataclasses import replace

from visa_session.contract import PASSPORT

from ... import software
from .plan import Plan


def corrected(plan: Plan) -> Plan:
    """The plan with the passport's image as that says of itself; as it was where it does not say."""
    try:
        passport = json.loads(plan.texts[PASSPORT])
        found = software.of_result(plan.image)
        passport["packages"] = found.pop("packages") or passport["packages"]
        if not any(found.values()):
            return plan
        passport["image"].update(found)
    except (KeyError, ValueError, TypeError, AttributeError):
        return plan
    text = json.dumps(passport, ensure_ascii=False, indent=1) + "\n"
    return replace(plan, texts={**plan.texts, PASSPORT: text})
