"""The data of a running session: another experiment's added, or one taken away, without a restart."""

from __future__ import annotations

from urllib.parse import urlencode

from visa_catalogue import Page, Query, UnknownExperiment
from visa_catalogue.model import Experiment

from ..forms import checked, only, read_query, write_query
from ..hub import NotThere, Refused
from ..models import DataForm, FormError, Session
from . import NAME
from .base import PersonHandler
from .starting import find

#: Experiments of one page of the list.
PAGE = 20


class DataHandler(PersonHandler):
    """What the session has, and the list of what could be added."""

    async def get(self, name: str) -> None:
        await self._show(name)

    async def _show(self, name: str, refused: str = "") -> None:
        session = await find(self, name)
        if session is None:
            raise NotThere("There is no such session.")
        query, wrong = self._query()
        with self.timed("catalogue"):
            page = await self.site.catalogue.search(self.account, query)
            held = [(id, await self._known(id)) for id in session.experiments]
        await self.show(
            "data.html",
            session=session,
            held=held,
            page=page,
            query=query,
            kept=write_query(query),
            more=_next(query, page),
            fewer=_last(query),
            refused=refused or wrong,
            done=await self._done(session),
        )

    def _query(self) -> tuple[Query, str]:
        arguments = {
            name: self.get_query_arguments(name)[:1]
            for name in ("q", "scope", "offset")
            if self.get_query_arguments(name)
        }
        try:
            return read_query(arguments, PAGE), ""
        except FormError as error:
            return Query(scope="mine", limit=PAGE), error.words

    async def _known(self, id: str) -> Experiment | None:
        try:
            return await self.site.catalogue.visible(self.account, id)
        except UnknownExperiment:
            return None

    async def _done(self, session: Session) -> tuple[str, str] | None:
        """What the last form did, where that is still so: `added` or `taken`, and the experiment.

        Of experiments alone: no word of a link's that could be read as the facility's.
        """
        for what, there in (("added", True), ("taken", False)):
            try:
                id = checked(DataForm, {"experiment": self.get_query_argument(what, "")}).experiment
            except FormError:
                continue
            if (id in session.experiments) == there and (there or await self._known(id)):
                return what, id
        return None


class ChangeHandler(DataHandler):
    """The forms' POST. Whether it may be is the hub's to say, in its own words."""

    async def get(self, name: str, what: str) -> None:
        self.redirect(f"{self.site.prefix}sessions/{name}/data")

    async def post(self, name: str, what: str) -> None:
        sent = {field: values for field, values in self.sent().items() if field != "_xsrf"}
        change = self.site.hub.add_data if what == "add" else self.site.hub.take_data_away
        try:
            form = checked(DataForm, {field: only(sent, field) for field in sent})
            with self.timed("hub"):
                await change(self.token, self.owner, name, form.experiment)
        except (FormError, Refused) as wrong:
            status = getattr(wrong, "status", 400)
            self.set_status(status if 400 <= status < 600 else 400)
            await self._show(name, wrong.words)
            return
        done = urlencode({"added" if what == "add" else "taken": form.experiment})
        kept = write_query(self._query()[0])
        self.redirect(f"{self.site.prefix}sessions/{name}/data?{done}&{kept}", status=303)


def _next(query: Query, page: Page) -> str:
    end = query.offset + len(page.experiments)
    return write_query(query, offset=end) if end < page.total else ""


def _last(query: Query) -> str:
    return write_query(query, offset=max(0, query.offset - query.limit) or "") if query.offset else ""


ROUTES = [(f"sessions/{NAME}/data", DataHandler), (f"sessions/{NAME}/data/(add|take)", ChangeHandler)]
