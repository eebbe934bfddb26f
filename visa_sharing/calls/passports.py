"""Passports: of one session, what was used on an experiment before, and whether an image is still there."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from functools import partial

from tornado import web

from visa_catalogue import CatalogueError, UnknownExperiment
from visa_catalogue.access import OPEN_DATA, why_visible
from visa_catalogue.model import Experiment
from visa_spawner.asked import exact
from visa_spawner.asked.request import MAX_EXPERIMENTS, shown
from visa_spawner.session import Image, StartRefused
from visa_spawner.start.shelf import Images

from .. import passports, team
from ..rights import NotKnown
from .callers import UNKNOWN, PersonHandler


class PassportHandler(PersonHandler):
    """The passport of a session's last start, for its owner and for staff; of one that is gone as well."""

    async def get(self, owner, name):
        person = self.person()
        mine = person.name == owner and self.has_scope(f"servers!server={owner}/{name}")
        if not mine and (await self.account(person)).roles.isdisjoint(self.site.staff_roles):
            raise web.HTTPError(404, UNKNOWN)
        found = passports.last(self.db, owner, name)
        if found is None:
            raise web.HTTPError(404, "session: there is no passport of it")
        self.write(json.dumps(found, ensure_ascii=False))


class UsedHandler(PersonHandler):
    """Which profiles the caller and the teams have worked with on some experiments.

    What a team does is its own: whoever sees an experiment only because its data are open learns their own
    use alone.
    """

    async def get(self):
        person = self.person()
        account = await self.account(person)
        allowed = [name for name, profile in self.site.profiles.items() if profile.allows(account.roles)]
        wanted = list(dict.fromkeys(self.get_query_arguments("experiment")))
        if not 1 <= len(wanted) <= MAX_EXPERIMENTS:
            raise web.HTTPError(400, f"experiment: name from 1 to {MAX_EXPERIMENTS}")
        found = []
        for one in wanted:
            experiment = await self._visible(account, one)
            people = set()
            if why_visible(account, experiment, self.catalogue.today()) != OPEN_DATA:
                with suppress(NotKnown):
                    people = set(await team.people(self.app, one))
            found += passports.used(self.db, one, person.name, people, allowed)
        self.answer({"used": found})

    async def _visible(self, account, experiment: str) -> Experiment:
        try:
            return await self.catalogue.visible(account, experiment)
        except UnknownExperiment:
            words = f"experiment: there is no experiment {shown(experiment)} that you may see"
            raise web.HTTPError(404, words) from None
        except CatalogueError as error:
            raise web.HTTPError(503, "experiment: the catalogue does not answer at the moment") from error


class SoftwareHandler(PersonHandler):
    """The image that a plan would start with now, and whether the very one of a passport is still there."""

    async def get(self):
        person = self.person()
        account = await self.account(person)
        profile = self.site.profiles.get(self.get_query_argument("profile", ""))
        if profile is None or not profile.allows(account.roles):
            raise web.HTTPError(404, "profile: there is no such profile that you may use")
        plan = profile.plans.get(self.get_query_argument("plan", ""))
        if plan is None:
            raise web.HTTPError(404, f"plan: {profile.name} has no such plan")
        digest = self.get_query_argument("image", "")
        if digest and not re.fullmatch("sha256:[0-9a-f]{64}", digest):
            raise web.HTTPError(400, "image: must be sha256: and 64 characters")
        known = self.settings.setdefault("visa_images", Images())
        kind = self.site.backend(plan.backend)
        ask = partial(known.image, person.name, kind, config=self.site.config)
        answer = {"now": await self._now(ask, profile.image), "was": None, "words": ""}
        if digest:
            try:
                was = await exact.look(self.site, self.db, ask, profile.image, digest)
                answer |= {"was": was and was.about(), "words": "" if was else exact.IMAGE_GONE}
            except StartRefused as error:
                answer["words"] = error.words
        self.answer(answer)

    async def _now(self, ask: exact.Ask, recipe: str) -> dict | None:
        try:
            found: Image | None = await ask(recipe, "")
        except Exception:
            self.log.exception("which image of %s is there now is not known", recipe)
            return None
        return found and found.about()


HANDLERS = [
    (r"/api/visa/sessions/([^/]+)/([^/]+)/passport", PassportHandler),
    ("/api/visa/used", UsedHandler),
    ("/api/visa/software", SoftwareHandler),
]
