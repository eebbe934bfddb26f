"""The calls that join the hub's REST API below `/hub/api/visa/`; see docs/developers/interfaces.md."""

from __future__ import annotations

import asyncio
import json

from jupyterhub.apihandlers import APIHandler, default_handlers
from jupyterhub.user import User
from tornado import web

from visa_catalogue.account import Account

from ..asked.admission import Admission, granted_account
from ..profiles.model import Plan, Profile
from ..running.gone import has_gone
from ..session import Availability, Resources, StartRefused
from ..site import VisaSite
from ..start.shelf import Shelf
from ..words import NOT_PREPARED
from . import bootscripts, report

#: Bytes that `{"hours": 4.5}` may take, written as generously as one likes.
_MAX_SMALL_BODY = 200

#: More than any profile allows: a year.
_MOST_HOURS = 8784


class SessionHandler(APIHandler):
    """A call by a session, with its own token."""

    _accept_cookie_auth = False

    async def prepare(self):
        """Find out whose token it is, and no more.

        All sessions call at once when the hub comes back. What the hub's own handlers ask beside the token,
        its owner's roles and scopes, decides nothing here; that a session has called is no activity of
        anybody's, and written down nowhere.
        """
        self._jupyterhub_user, self._token_authenticated = None, True
        self.expanded_scopes, self.parsed_scopes = set(), {}
        # One at a time, and whatever else the hub has to do goes between: pages do not wait for thousands.
        async with self.settings.setdefault("visa_session_calls", asyncio.Lock()):
            await asyncio.sleep(0)
            if has_gone(self.request):
                raise web.HTTPError(503, "nobody waits for this answer any more")
            token = self.get_token()
            if token is not None and token.user is not None:
                self._jupyterhub_user = self.users[token.user]

    def session(self) -> Admission:
        """The session whose own token this is; no other token speaks for one, its owner's neither."""
        token, user = self.get_token(), self.current_user
        if token is not None and isinstance(user, User):
            for spawner in user.spawners.values():
                if spawner.kept.phase and spawner.kept.token == token.id:
                    return spawner
        raise web.HTTPError(403, "this is for a running session itself, with its own token")


class AccountHandler(APIHandler):
    """A call by a person, for what is theirs."""

    @property
    def site(self) -> VisaSite:
        return VisaSite.of(self.app.config)

    def person(self) -> User:
        """Who calls.

        A session's own token and those that sessions hold of their visitors do not count: whoever works in
        a session could use them to look into others.
        """
        user, token = self.current_user, self.get_token()
        if not isinstance(user, User):
            raise web.HTTPError(403, "this is for people, not for services")
        if token is not None and (
            (token.note or "").startswith("Server at ")
            or (token.client_id or "").startswith("jupyterhub-user-")
        ):
            raise web.HTTPError(403, "a session's token is not enough for this")
        return user

    async def account(self, user: User) -> Account:
        """As the login left it; what the hub's groups tell, where that is not at hand."""
        try:
            return granted_account(await user.get_auth_state(), user.name)
        except StartRefused:
            return Account.from_groups(user.name, (group.name for group in user.groups))


class OptionsHandler(AccountHandler):
    """The profiles and plans an account may use, with what is free now."""

    async def get(self):
        site, account = self.site, await self.account(self.person())
        allowed = [profile for profile in site.profiles.values() if profile.allows(account.roles)]
        free = await self._free(
            [_kind(profile, plan) for profile in allowed for plan in profile.plans.values()]
        )
        lacking = await self._lacking(allowed)
        answer = {
            "profiles": [_profile(profile, free, lacking) for profile in allowed],
            "home_only": not site.limits.home_only_roles.isdisjoint(account.roles),
            "max_sessions": site.max_sessions,
        }
        self.write(json.dumps(answer))

    async def _free(self, kinds: list[tuple]) -> dict:
        kinds = list(set(kinds))
        return dict(zip(kinds, await asyncio.gather(*(self._ask(*kind) for kind in kinds)), strict=True))

    async def _lacking(self, profiles: list[Profile]) -> set[tuple[str, str]]:
        """The backends and images of plans that would find no image."""
        shelf = self.settings.setdefault("visa_shelf", Shelf())
        pairs = list({(plan.backend, it.image) for it in profiles for plan in it.plans.values()})
        found = await asyncio.gather(
            *(shelf.lacks(self.site.backend(kind), image, self.app.config) for kind, image in pairs)
        )
        return {pair for pair, lacks in zip(pairs, found, strict=True) if lacks}

    async def _ask(self, backend: str, resources: Resources, hours: float) -> dict:
        kind = self.site.backend(backend)
        try:
            answer = await kind.availability(resources, self.app.config, hours)
        except Exception:
            self.log.exception("what backend %s has free is not known", backend)
            answer = Availability(0, "What is free here is not known at the moment.")
        expected = answer.expected and answer.expected.isoformat(timespec="seconds")
        free = {"sessions": answer.sessions, "words": answer.words}
        queue = bool(kind.queue_limit) and answer.possible
        return free | {"queue": queue, "expected": expected, "prepared": True}


class SessionsHandler(AccountHandler):
    """An account's sessions; staff may look at another's, and at the last lines of the logs."""

    async def get(self):
        user = self.person()
        staff = not (await self.account(user)).roles.isdisjoint(self.site.staff_roles)
        owner_name = self.get_query_argument("owner", user.name)
        if owner_name != user.name and not staff:
            raise web.HTTPError(403, "owner: only staff may look at the sessions of others")
        owner = user if owner_name == user.name else self.find_user(owner_name)
        if owner is None:
            raise web.HTTPError(404, "owner: there is no such account")
        self.write(json.dumps({"sessions": report.sessions(owner, with_log=staff)}))


class ExtendHandler(AccountHandler):
    """The owner of a session gives it more time."""

    async def post(self, owner_name: str, name: str):
        user = self.person()
        spawner = user.spawners.get(name) if user.name == owner_name else None
        if not name or spawner is None:
            raise web.HTTPError(404, "session: there is none of that name that you may extend")
        if not self.has_scope(f"servers!server={owner_name}/{name}"):
            raise web.HTTPError(403, "token: it is not good for this session")
        try:
            ends = await spawner.extend(self._hours())
        except StartRefused as error:
            raise web.HTTPError(error.status, f"{error.field}: {error.words}") from None
        self.write(json.dumps({"ends": report.moment(ends)}))

    def _hours(self) -> float:
        try:
            body = json.loads(self.request.body) if len(self.request.body) <= _MAX_SMALL_BODY else None
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or set(body) != {"hours"}:
            raise web.HTTPError(400, 'hours: the body must be {"hours": N} and nothing else')
        hours = body["hours"]
        if type(hours) not in (int, float) or not 0 < hours <= _MOST_HOURS:
            raise web.HTTPError(400, "hours: must be a number above 0")
        return float(hours)


#: Of a plan whose image is not there: nothing starts, nothing waits for it either.
_NOTHING = {"sessions": 0, "words": NOT_PREPARED, "queue": False, "expected": None, "prepared": False}


def _kind(profile: Profile, plan: Plan) -> tuple[str, Resources, float]:
    """All that what is free for a plan depends on: plans alike are asked about once."""
    hours = min(profile.lifetime.default_hours, plan.hours or profile.lifetime.default_hours)
    return plan.backend, plan.resources, hours


def _profile(profile: Profile, free: dict, lacking: set[tuple[str, str]]) -> dict:
    answer = profile.model_dump(mode="json", exclude={"plans", "roles", "image"})
    hidden = {"partition", "account", "qos", "reservation", "warm"}
    return answer | {
        "revision": profile.revision,
        "plans": [
            {
                "name": name,
                "free": _NOTHING if (plan.backend, profile.image) in lacking else free[_kind(profile, plan)],
            }
            | plan.model_dump(mode="json", exclude=hidden)
            for name, plan in profile.plans.items()
        ],
    }


_HANDLERS = [
    ("/api/visa/options", OptionsHandler),
    ("/api/visa/sessions", SessionsHandler),
    ("/api/visa/sessions/([^/]+)/([^/]+)/extend", ExtendHandler),
    *bootscripts.HANDLERS,
]


def join_hub() -> None:
    """Add the calls to the hub's own; harmless when done already. Must come before the hub starts."""
    for handler in _HANDLERS:
        if handler not in default_handlers:
            default_handlers.append(handler)
