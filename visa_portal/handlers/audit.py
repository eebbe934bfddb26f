""" "Audit log": who let whom in, who came and went, who asked and answered; searched, and taken as a file."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from tornado.iostream import StreamClosedError

from ..hub import HubError
from ..words_staff import KINDS
from .desk import AdministratorHandler

#: What the log can be searched by, in the order of the form.
FILTERS = ("q", "who", "owner", "session", "what", "since", "until")
#: Lines on one page.
LINES = 100


class AuditHandler(AdministratorHandler):
    """One page of the log, newest first."""

    async def get(self) -> None:
        wanted = self.wanted()
        before = self.get_query_argument("before", "")
        before = before if re.fullmatch("[0-9]{1,18}", before) else ""
        events: list = []
        with self.refusing() as refused:
            events = await self.calls.audit(**wanted, before=before, limit=LINES + 1)
        shown = events[:LINES]
        await self.give(
            "admin_audit.html",
            events=shown,
            kinds=KINDS,
            wanted=dict.fromkeys(FILTERS, "") | wanted,
            address=urlencode(wanted),
            newest=not before,
            older=urlencode(wanted | {"before": shown[-1].id}) if len(events) > LINES else "",
            refused=refused,
        )

    def wanted(self) -> dict[str, str]:
        """The filters that are filled in."""
        given = {name: self.get_query_argument(name, "")[:200] for name in FILTERS}
        return {name: value for name, value in given.items() if value}


class FileHandler(AuditHandler):
    """All lines that fit, as a CSV file."""

    is_fragment = True

    async def get(self) -> None:
        began = False
        try:
            async for piece in self.calls.audit_file(**self.wanted()):
                if not began:
                    # Not earlier: a refusal is words and no file.
                    began = True
                    self.set_header("Content-Type", "text/csv; charset=utf-8")
                    self.set_header("Content-Disposition", 'attachment; filename="audit-log.csv"')
                self.write(piece)
                await self.flush()
        except StreamClosedError:
            return
        except HubError:
            if not began:
                raise
            # Cut off, not ended: a browser says so, and nobody takes half a log for the whole.
            self.detach().close()


ROUTES = [
    ("admin/audit", AuditHandler),
    ("admin/audit.csv", FileHandler),
]
