""" "New session": the list of experiments, the choice beside it, and the start."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from visa_catalogue import Kinds, Page, Query, UnknownExperiment, kinds_of
from visa_catalogue.access import why_visible
from visa_catalogue.model import Experiment

from ..again import Before, compare
from ..choice import Choice, Wanted, choose
from ..forms import LABELS, display_name, read_query, read_start, read_wanted, session_name, write_query
from ..hub import HubError
from ..models import FormError, Options, StartForm
from ..starts import Start
from .base import LiveHandler, PersonHandler
from .datasets import Picking, pick
from .starting import find

log = logging.getLogger(__name__)

#: As the software of a passport's profile: today's, and not its very image.
TODAY = "today"
#: How long a POST waits for a refusal before it shows the steps instead, in seconds.
REFUSAL_SECONDS = 0.8
#: At most so many experiments in one session.
MOST_EXPERIMENTS = 20
#: The states that count for how many an account may have at a time.
RUNNING = frozenset({"starting", "running", "unknown", "suspended", "stopping"})
#: Other names that the same things have in links made for the hub's own spawn page.
ALIASES = {
    "experiments": "experiment",
    "opt-experiments": "experiment",
    "datasets": "dataset",
    "opt-datasets": "dataset",
}


@dataclass(frozen=True)
class Results:
    """One page of the list, as the template shows it."""

    query: Query
    page: Page
    chosen: tuple[str, ...]
    why: dict[str, str]
    elsewhere: int
    error: str = ""

    @property
    def hidden(self) -> list[str]:
        """What is chosen and not on this page: carried along, so that a search loses no choice."""
        shown = {experiment.id for experiment in self.page.experiments}
        return [one for one in self.chosen if one not in shown]

    @property
    def more(self) -> str:
        """The address of the next page; empty on the last."""
        end = self.query.offset + len(self.page.experiments)
        return write_query(self.query, self.chosen, offset=end) if end < self.page.total else ""

    @property
    def fewer(self) -> str:
        """The address of the page before; empty on the first."""
        if self.query.offset == 0:
            return ""
        start = max(0, self.query.offset - self.query.limit)
        return write_query(self.query, self.chosen, offset=start or "")

    @property
    def everywhere(self) -> str:
        return write_query(self.query, self.chosen, scope="all", offset="")


class _NewHandler(PersonHandler):
    """What the page and its fragments share."""

    def arguments(self, body: bool = False) -> dict[str, list[str]]:
        """What was sent, as text; raises a 400 for what is not UTF-8."""
        source = self.request.body_arguments if body else self.request.query_arguments
        found: dict[str, list[str]] = {}
        for sent, values in source.items():
            name = self.decode_argument(sent.encode())
            if not body:
                name = ALIASES.get(name) or name.removeprefix("opt-")
            found.setdefault(name, []).extend(self.decode_argument(value, name) for value in values)
        return found

    async def chosen(self, arguments: dict[str, list[str]]) -> tuple[list[Experiment], list[str]]:
        """The experiments asked for that this account may see, and the ids of those it may not."""
        seen, unseen = [], []
        left_out = arguments.get("without", ())
        asked = [one for one in dict.fromkeys(arguments.get("experiment", ())) if one not in left_out]
        for experiment_id in asked[:MOST_EXPERIMENTS]:
            try:
                seen.append(await self.site.catalogue.visible(self.account, experiment_id))
            except UnknownExperiment:
                unseen.append(experiment_id[:64])
        return seen, unseen

    async def results(self, arguments: dict[str, list[str]], chosen: tuple[str, ...]) -> Results:
        """The page of the list that was asked for; what is wrong with the search is said beside it."""
        error, catalogue = "", self.site.catalogue
        try:
            query = read_query(arguments, self.site.page_size)
        except FormError as wrong:
            query = Query(scope="mine", limit=self.site.page_size)
            error = f"{LABELS.get(wrong.field, wrong.field)}: {wrong.words}"
        with self.timed("catalogue"):
            page = await catalogue.search(self.account, query)
            elsewhere = 0
            if page.total == 0 and query.scope != "all":
                wider = query.model_copy(update={"scope": "all", "limit": 0, "offset": 0})
                elsewhere = (await catalogue.search(self.account, wider)).total
            today = catalogue.today()
            why = {one.id: why_visible(self.account, one, today) or "" for one in page.experiments}
        return Results(query, page, chosen, why, elsewhere, error)

    async def choice(
        self, experiments: list[Experiment], home: bool, wanted: Wanted, datasets: list[str]
    ) -> dict:
        """What the choice's template needs: the offers, where anything is chosen."""
        with self.timed("hub"):
            options, sessions, used = await asyncio.gather(
                self.site.hub.options(self.token),
                self.site.hub.sessions(self.token),
                self.site.passports.used(self.token, [one.id for one in experiments]),
            )
        self.site.rooms.note(self.owner, options)
        home = home and options.home_only and not experiments
        made: Choice | None = None
        before: Before | None = None
        picking: dict[str, Picking] = {}
        if experiments or home:
            languages = self.request.headers.get("Accept-Language", "")
            with self.timed("catalogue"):
                picking = {one.id: await pick(self.site.catalogue, one.id, datasets) for one in experiments}
                kinds = {one: await self._kinds(picked) for one, picked in picking.items()}
            made = choose(experiments, options, wanted, languages, kinds, used)
            before = await self._before(options, wanted)
        running = sum(1 for session in sessions if session.state in RUNNING)
        full = options.max_sessions is not None and running >= options.max_sessions > 0
        taken = {session.name for session in sessions}
        offered = [offer.profile.name for offer in made.offers] if made is not None else []
        return {
            "choice": made,
            "picking": picking,
            "before": before,
            "exactly": wanted.software != TODAY,
            "home": home,
            "home_only": options.home_only,
            # Made with the form, so that one which is sent twice starts one session.
            "names": {profile: session_name(profile, taken) for profile in offered},
            "full": options.max_sessions if full else 0,
        }

    async def _kinds(self, picking: Picking) -> Kinds:
        """What the chosen datasets are, all of the experiment's where none is chosen."""
        return (
            kinds_of(picking.picked)
            if picking.picked
            else await self.site.catalogue.kinds(picking.experiment)
        )

    async def _before(self, options: Options, wanted: Wanted) -> Before | None:
        """What was used before, where the form was filled in from a passport."""
        if not (wanted.image or wanted.was):
            return None
        profile = next((one for one in options.profiles if one.name == wanted.profile), None)
        plans = profile.plans if profile else ()
        plan = next((one for one in plans if one.name == wanted.plan), next(iter(plans), None))
        software = None
        if plan is not None and wanted.image:
            with self.timed("hub"):
                try:
                    software = await self.site.passports.software(
                        self.token, wanted.profile, plan.name, wanted.image
                    )
                except HubError as error:
                    log.info("no word on %s: %s", wanted.image, error.words)
        return compare(wanted.profile, wanted.plan, wanted.image, wanted.was, profile, software)


class NewHandler(_NewHandler):
    """The whole page, and its form's POST."""

    async def get(self) -> None:
        arguments = self.arguments()
        experiments, unseen = await self.chosen(arguments)
        note = f"You cannot see {', '.join(unseen)}, or there is no such experiment." if unseen else ""
        await self._show(arguments, experiments, read_wanted(arguments), note=note)

    async def post(self) -> None:
        arguments = self.arguments(body=True)
        experiments, unseen = await self.chosen(arguments)
        try:
            if unseen:
                raise FormError("experiments", f"you cannot see {', '.join(unseen)}, or there is none")
            form = read_start(arguments)
        except FormError as wrong:
            await self._refuse(arguments, experiments, wrong.field, wrong.words, 400)
            return
        known = await find(self, form.name)
        if known is None or not known.ready:
            start = await self._begin(form, experiments)
            if start.state == "failed" and (start.option or start.status < 500):
                # The hub keeps nothing of a session that it refused as new; neither do we.
                self.site.starts.forget(self.owner, form.name)
                await self._refuse(arguments, experiments, start.option, start.words, start.status)
                return
        self.redirect(f"{self.site.prefix}sessions/{form.name}/starting", status=303)

    async def _begin(self, form: StartForm, experiments: list[Experiment]) -> Start:
        """Ask for the start, and wait a moment for a refusal: it belongs beside the form."""
        title = display_name(form.title) or display_name(_title(experiments)) or form.name
        body = {"display_name": title, "user_options": form.user_options()}
        start = self.site.starts.begin(self.token, self.owner, form.name, body)
        until = time.monotonic() + REFUSAL_SECONDS
        with self.timed("hub"):
            while start.finished is None and not start.steps and (left := until - time.monotonic()) > 0:
                await start.news(left)
        return start

    async def _refuse(self, arguments, experiments, field: str, words: str, status: int) -> None:
        self.set_status(status if 400 <= status < 600 else 400)
        refused = {"field": field, "label": LABELS.get(field, ""), "words": words}
        await self._show({}, experiments, read_wanted(arguments), refused=refused, arguments=arguments)

    async def _show(self, searched, experiments, wanted, note="", refused=None, arguments=None) -> None:
        ids = tuple(experiment.id for experiment in experiments)
        home = "1" in (arguments or searched).get("home", ())
        results = await self.results(searched, ids)
        everything = Query(scope="all", limit=0)
        with self.timed("catalogue"):
            instruments = list((await self.site.catalogue.search(self.account, everything)).instruments)
        choice = await self.choice(experiments, home, wanted, (arguments or searched).get("dataset", []))
        await self.show(
            "new.html", results=results, instruments=instruments, note=note, refused=refused, **choice
        )


class ResultsHandler(_NewHandler):
    """The list alone, as the search is typed."""

    is_fragment = True

    async def get(self) -> None:
        arguments = self.arguments()
        experiments, _ = await self.chosen(arguments)
        results = await self.results(arguments, tuple(experiment.id for experiment in experiments))
        self.finish(self.page("results.html", results=results))


class ChoiceHandler(_NewHandler):
    """The choice alone, as experiments are chosen."""

    is_fragment = True

    async def get(self) -> None:
        arguments = self.arguments()
        experiments, unseen = await self.chosen(arguments)
        home = "1" in arguments.get("home", ())
        note = f"You cannot see {', '.join(unseen)}, or there is no such experiment." if unseen else ""
        choice = await self.choice(experiments, home, read_wanted(arguments), arguments.get("dataset", []))
        self.finish(self.page("choice.html", note=note, refused=None, **choice))


class RoomHandler(LiveHandler):
    """What is free for each plan, and nothing else: what a person has chosen is not touched."""

    async def get(self) -> None:
        with self.timed("hub"):
            plans = await self.site.rooms.look(self.token, self.owner)
        self.finish(self.page("room.html", plans=sorted(plans.items())))


def _title(experiments: list[Experiment]) -> str:
    """What a session is called where nobody says: after its experiments."""
    if not experiments:
        return "Home directory"
    if len(experiments) == 1:
        return experiments[0].title or experiments[0].id
    return f"{experiments[0].id} and {len(experiments) - 1} more"


ROUTES = [
    ("new", NewHandler),
    ("new/experiments", ResultsHandler),
    ("new/choice", ChoiceHandler),
    ("new/room", RoomHandler),
]
