"""Passports: what a session was started with, to read and to keep; and starting so again."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from ..models import FormError
from ..models_passport import Passport, brought
from .base import PersonHandler
from .desk import SESSION


def again(passport: Passport) -> str:
    """The query of "New session" that asks for the same as a passport."""
    asked = [("experiment", one.id) for one in passport.experiments]
    asked += [("dataset", dataset.id) for one in passport.experiments for dataset in one.datasets]
    asked += [("profile", passport.profile.name), ("plan", passport.plan.name)]
    asked += [(name, str(passport.options.get(name) or "")) for name in ("interface", "screen", "keyboard")]
    asked += [("image", passport.image.digest), ("was", passport.profile.revision)]
    asked += [("home", "" if passport.experiments else "1")]
    return urlencode([(name, value) for name, value in asked if value])


class PassportHandler(PersonHandler):
    """The page of one session's passport, for its owner and for staff: the hub says who may see it."""

    async def get(self, owner: str, name: str) -> None:
        with self.timed("hub"):
            passport = await self.site.passports.passport(self.token, owner, name)
        mine = owner == self.owner
        await self.show(
            "passport.html", passport=passport, mine=mine, again=again(passport), packages=_by_kind(passport)
        )


class FileHandler(PersonHandler):
    """The passport itself, as a file to keep."""

    async def get(self, owner: str, name: str) -> None:
        with self.timed("hub"):
            passport = await self.site.passports.text(self.token, owner, name)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="passport-{name}.json"')
        self.finish(json.dumps(passport, ensure_ascii=False, indent=1) + "\n")


class AgainHandler(PersonHandler):
    """A passport that somebody brings: it fills "New session" in, and starts nothing."""

    async def get(self) -> None:
        await self.show("again.html", refused="", text="")

    async def post(self) -> None:
        text = self.sent().get("passport", [""])[0]
        files = [one for sent in self.request.files.values() for one in sent]
        try:
            if len(files) > 1:
                raise FormError("passport", "one passport at a time")
            if not files and not text.strip():
                raise FormError("passport", "choose the file of a passport, or put its text here")
            asked = brought(files[0]["body"] if files else text)
        except FormError as wrong:
            self.set_status(400)
            await self.show("again.html", refused=wrong.words, text=text[:2000] if not files else "")
            return
        self.redirect(f"{self.site.prefix}new?{urlencode(asked.query)}", status=303)


def _by_kind(passport: Passport) -> list[tuple[str, list]]:
    """The packages of each kind, by name."""
    called = {"deb": "Debian", "pypi": "Python"}
    kinds: dict[str, list] = {}
    for package in sorted(passport.packages, key=lambda package: package.name.lower()):
        kinds.setdefault(called.get(package.type, package.type), []).append(package)
    return sorted(kinds.items())


ROUTES = [
    (f"passports/{SESSION}", PassportHandler),
    (f"passports/{SESSION}/file", FileHandler),
    ("again", AgainHandler),
]
