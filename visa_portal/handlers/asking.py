""" "Get help": an owner asks the instrument's staff, and takes it back."""

from __future__ import annotations

from ..forms_sharing import Help, read
from ..hub import NotThere, Refused
from ..models import FormError
from . import NAME
from .base import PersonHandler


class HelpHandler(PersonHandler):
    """The form, and its POST."""

    async def get(self, name: str) -> None:
        await self._show(name)

    async def post(self, name: str) -> None:
        sent = self.sent()
        try:
            form = read(Help, sent)
            await self.site.sharing.ask_for_help(self.token, self.owner, name, form.message)
        except (FormError, Refused) as wrong:
            status = getattr(wrong, "status", 400)
            self.set_status(status if 400 <= status < 600 else 400)
            await self._show(name, wrong.words, next(iter(sent.get("message", ())), ""))
            return
        self.redirect(f"{self.site.prefix}#session-{name}", status=303)

    async def _show(self, name: str, refused: str = "", message: str = "") -> None:
        with self.timed("hub"):
            sharing = await self.site.sharing.sharing(self.token, self.owner, name)
        await self.show("help.html", sharing=sharing, refused=refused, message=message)


class WithdrawHandler(PersonHandler):
    """Take the request for help back."""

    def get(self, name: str) -> None:
        self.redirect(f"{self.site.prefix}sessions/{name}/help")

    async def post(self, name: str) -> None:
        try:
            await self.site.sharing.withdraw_help(self.token, self.owner, name)
        except NotThere:
            # Closed or taken back already.
            pass
        self.redirect(f"{self.site.prefix}#session-{name}", status=303)


ROUTES = [
    (f"sessions/{NAME}/help", HelpHandler),
    (f"sessions/{NAME}/help/withdraw", WithdrawHandler),
]
