""" "Announcements": words shown to everybody, or to the users of one instrument, for a time."""

from __future__ import annotations

from .desk import AdministratorHandler

#: The fields of the form, as sent.
FIELDS = ("words", "instrument", "since", "until")


class AnnouncementsHandler(AdministratorHandler):
    """Those that are shown or will be, and a form for another."""

    SAID = {"made": "Announced.", "ended": "It is no longer shown."}

    async def get(self) -> None:
        await self.present()

    async def present(self, refused: list[str] = (), form: dict | None = None) -> None:
        with self.timed("hub"):
            announcements = await self.calls.announcements()
        await self.give(
            "admin_announcements.html",
            announcements=announcements,
            instruments=await self.instruments(),
            form=dict.fromkeys(FIELDS, "") | (form or {}),
            refused=refused,
            said=self.said,
        )

    async def post(self) -> None:
        form = {name: self.body(name) for name in FIELDS}
        body = {"words": form["words"], "instrument": form["instrument"]}
        for name in ("since", "until"):
            # The page's script says it in UTC; without it the page says that UTC is meant.
            if when := self.body(f"{name}-utc") or (form[name] and form[name] + "Z"):
                body[name] = when
        with self.refusing() as refused:
            await self.calls.announce(body)
        if refused:
            await self.present(refused, form)
        else:
            self.done("admin/announcements", "made")


class EndHandler(AnnouncementsHandler):
    """End one before its time."""

    async def get(self, number: str) -> None:
        self.redirect(f"{self.site.prefix}admin/announcements")

    async def post(self, number: str) -> None:
        with self.refusing() as refused:
            await self.calls.end_announcement(int(number))
        if refused:
            await self.present(refused)
        else:
            self.done("admin/announcements", "ended")


ROUTES = [
    ("admin/announcements", AnnouncementsHandler),
    ("admin/announcements/([0-9]{1,18})/end", EndHandler),
]
