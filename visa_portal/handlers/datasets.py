"""The datasets of one experiment: those that a session is to open on, searched and page by page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from tornado.web import HTTPError

from visa_catalogue import Catalogue, DatasetPage, UnknownExperiment
from visa_catalogue.model import Dataset

from .base import PersonHandler

#: Datasets of one page.
PAGE = 50


@dataclass(frozen=True)
class Picking:
    """One experiment's datasets on the page; `picked` are those chosen, `carried` those of them not shown."""

    experiment: str
    page: DatasetPage
    text: str
    offset: int
    picked: tuple[Dataset, ...]

    @property
    def ids(self) -> frozenset[str]:
        return frozenset(one.id for one in self.picked)

    @property
    def carried(self) -> list[Dataset]:
        shown = {one.id for one in self.page.datasets}
        return [one for one in self.picked if one.id not in shown]

    @property
    def more(self) -> str:
        """The query of the next page; empty on the last."""
        end = self.offset + len(self.page.datasets)
        if end >= self.page.total:
            return ""
        return urlencode({"experiment": self.experiment, "q": self.text, "offset": end})


async def pick(
    catalogue: Catalogue, experiment: str, wanted: Iterable[str], text: str = "", offset: int = 0
) -> Picking:
    """A page of an experiment's datasets, those that are wanted picked; an id that it has not is left out."""
    page = await catalogue.find_datasets(experiment, text, offset, PAGE)
    wanted = list(wanted)
    picked = await catalogue.pick_datasets(experiment, wanted) if wanted else []
    return Picking(experiment, page, text, offset, tuple(picked))


class DatasetsHandler(PersonHandler):
    """The list alone, as it is searched."""

    is_fragment = True

    async def get(self) -> None:
        experiment = self.get_query_argument("experiment", "")
        text = self.get_query_argument("q", "")[:200]
        offset = self.get_query_argument("offset", "0")
        if not offset.isdecimal() or len(offset) > 7:
            raise HTTPError(400, "This is no page of the list.")
        with self.timed("catalogue"):
            try:
                await self.site.catalogue.visible(self.account, experiment)
            except UnknownExperiment:
                raise HTTPError(404, "There is no such experiment that you may see.") from None
            picking = await pick(self.site.catalogue, experiment, (), text, int(offset))
        self.finish(self.page("datasets.html", picking=picking))


ROUTES = [("new/datasets", DatasetsHandler)]
