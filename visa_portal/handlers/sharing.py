""" "Sharing": who is in a session, and everything by which its owner lets people in or ends it."""

from __future__ import annotations

from urllib.parse import quote

from ..forms_sharing import Answer, Change, End, LetIn, Lock, MakeLink, Nothing, Revoke, Team, read
from ..hub import Despite, HubDown, LoginNeeded, NotThere, Refused
from ..models import FormError
from ..models_sharing import Sharing
from ..words_sharing import AWAY, LINK_HOURS, ROLES
from . import NAME
from .base import LiveHandler, PersonHandler

#: What each button's form holds.
FORMS = {
    "let-in": LetIn,
    "change": Change,
    "end": End,
    "end-all": Nothing,
    "team": Team,
    "link": MakeLink,
    "revoke": Revoke,
    "lock": Lock,
    "answer": Answer,
}
#: The forms that a refusal is shown in; of the others it stands above the list.
SHOWN = frozenset({"let-in", "link", "team"})
END_ALL = (
    "End all memberships?",
    "Everybody but you is out at once, support included: what they have open closes. "
    "Links are revoked, and the session is shared with no team any more.",
    "End all",
    "Leave them in",
)


class _SharingHandler(PersonHandler):
    async def sharing(self, name: str) -> Sharing:
        with self.timed("hub"):
            return await self.site.sharing.sharing(self.token, self.owner, name)

    async def show_sharing(self, name: str, refused: dict | None = None, sent: dict | None = None) -> None:
        """The whole page; `refused` says which form was not taken and why, `sent` what was in it."""
        made = self.get_query_argument("made", "")
        link = self.site.codes.take(self.owner, name, int(made)) if made.isdecimal() else None
        await self.show(
            "sharing.html",
            **living(await self.sharing(name)),
            refused=refused,
            sent=sent or {},
            link_hours=LINK_HOURS,
            made=link,
            made_url=link and f"{self.site.public(self.request)}join#{link.code}",
            end_all=END_ALL,
        )


class SharingHandler(_SharingHandler):
    """The page."""

    async def get(self, name: str) -> None:
        await self.show_sharing(name)


class SharingNowHandler(LiveHandler, _SharingHandler):
    """What of it changes by itself, for the page's script."""

    async def get(self, name: str) -> None:
        values = living(await self.sharing(name))
        self.finish(self.page("sharing_live.html", refused=None, end_all=END_ALL, **values))


class SharingActionHandler(_SharingHandler):
    """What the page's buttons do: by POST alone, and back to the page."""

    async def get(self, name: str, action: str) -> None:
        at = f"sessions/{name}/sharing"
        if action != "end-all":
            self.redirect(f"{self.site.prefix}{at}")
            return
        sharing = await self.sharing(name)
        question, meaning, button, keep = END_ALL
        await self.show(
            "confirm.html",
            subject=sharing.called,
            to=f"{at}/end-all",
            question=question,
            meaning=meaning,
            button=button,
            keep=keep,
            back=at,
        )

    async def post(self, name: str, action: str) -> None:
        sent = self.sent()
        at = f"{self.site.prefix}sessions/{name}/sharing"
        try:
            form = read(FORMS[action], sent)
            with self.timed("hub"):
                back = await getattr(self, f"_{action.replace('-', '_')}")(name, form)
        except (HubDown, LoginNeeded):
            raise
        except Despite as warned:
            await self._warn(name, form, warned)
        except NotThere as gone:
            if action == "let-in":
                await self._refuse(name, action, sent, "name", gone.words, 404)
                return
            # The session's own page says whether it was the session that is gone.
            await self.sharing(name)
            self.redirect(f"{at}#now", status=303)
        except FormError as wrong:
            await self._refuse(name, action, sent, wrong.field, wrong.words, 400)
        except Refused as said:
            await self._refuse(name, action, sent, said.field, said.words, said.status)
        else:
            self.redirect(back or f"{at}#now", status=303)

    async def _refuse(self, name, action, sent, field: str, words: str, status: int) -> None:
        self.set_status(status if 400 <= status < 600 else 400)
        words = words[:1].upper() + words[1:]
        place = action if action in SHOWN else "now"
        refused = {"form": place, "field": field, "words": words, "experiment": _first(sent, "experiment")}
        kept = {key: values[0] for key, values in sent.items() if values} if action in SHOWN else {}
        await self.show_sharing(name, refused, {"form": place} | kept)

    async def _warn(self, name: str, form: LetIn, warned: Despite) -> None:
        """Ask whether somebody may watch in spite of the experiments they may not see."""
        sharing = await self.sharing(name)
        titles = {team.experiment: team.title for team in sharing.teams}
        carried = [("name", form.name), ("role", "viewer")]
        await self.show(
            "despite.html",
            sharing=sharing,
            name=name,
            form=form,
            experiments=[(one, titles.get(one, "")) for one in warned.experiments],
            carried=carried + [("despite", one) for one in warned.experiments],
        )

    async def _let_in(self, name: str, form: LetIn) -> None:
        await self.site.sharing.let_in(self.token, self.owner, name, form.name, form.role, form.despite)

    async def _change(self, name: str, form: Change) -> None:
        await self.site.sharing.change(self.token, self.owner, name, form.name, form.role)

    async def _end(self, name: str, form: End) -> None:
        await self.site.sharing.end(self.token, self.owner, name, form.name)

    async def _end_all(self, name: str, form: Nothing) -> None:
        await self.site.sharing.end_all(self.token, self.owner, name)

    async def _team(self, name: str, form: Team) -> str:
        await self.site.sharing.share_with_team(self.token, self.owner, name, form.experiment, form.role)
        return f"{self.site.prefix}sessions/{name}/sharing#team-{quote(form.experiment)}"

    async def _link(self, name: str, form: MakeLink) -> str:
        link = await self.site.sharing.make_link(
            self.token, self.owner, name, form.role, form.hours, form.uses
        )
        self.site.codes.put(self.owner, name, link)
        return f"{self.site.prefix}sessions/{name}/sharing?made={link.id}#made"

    async def _revoke(self, name: str, form: Revoke) -> str:
        await self.site.sharing.revoke(self.token, self.owner, name, form.link)
        return f"{self.site.prefix}sessions/{name}/sharing#links"

    async def _lock(self, name: str, form: Lock) -> None:
        await self.site.sharing.lock(self.token, self.owner, name, form.locked)

    async def _answer(self, name: str, form: Answer) -> str:
        await self.site.sharing.answer(self.token, self.owner, name, form.request, form.answer)
        return f"{self.site.prefix}#session-{name}" if form.back else ""


def living(sharing: Sharing) -> dict:
    """What the parts of the page that change by themselves are made of."""
    return {
        "sharing": sharing,
        "name": sharing.name,
        "inside": {member.name: member for member in sharing.members},
        "away": AWAY,
        "roles": ROLES,
    }


def _first(sent: dict[str, list[str]], name: str) -> str:
    return next(iter(sent.get(name, ())), "")


ROUTES = [
    (f"sessions/{NAME}/sharing", SharingHandler),
    (f"sessions/{NAME}/sharing/now", SharingNowHandler),
    (f"sessions/{NAME}/sharing/({'|'.join(FORMS)})", SharingActionHandler),
]
