"""Who is in a session now: every share, held against what the facility says at this moment."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User

from visa_spawner.api import report
from visa_spawner.kept.state import Kept
from visa_spawner.site import VisaSite

from . import accounts, entries, grants, help, notices, staff, support
from .database import SUPPORT, Grant, SessionPolicy, now
from .put_out import put_out
from .rights import Experiments, NotKnown, Standing, experiments_of, standing
from .roles import VIEWER, role_of
from .settings import VisaSharing

#: As a member's `way`: a share that was made by the hub's own API.
HUB = "hub"
NOT_STAFF = "is not of the staff here any more"
NOT_KNOWN = "what they may see is not known at the moment"


@dataclass(frozen=True)
class Member:
    """Somebody with a share of a session.

    `refused` says in words why it opens nothing now, "" when it does; `lost` that they have no right to
    it any more, so that the share goes too.
    """

    share: orm.Share
    grant: Grant | None
    name: str
    full_name: str
    role: str
    refused: str = ""
    lost: bool = False
    #: What the facility said; None when that was not known.
    stands: Standing | None = None

    @property
    def support(self) -> bool:
        return self.grant is not None and self.grant.way == SUPPORT

    @property
    def since(self) -> datetime:
        return self.grant.granted_at if self.grant else self.share.created_at

    @property
    def until(self) -> datetime | None:
        return self.grant.until if self.grant else None

    def told(self, present: dict[str, datetime]) -> dict:
        """As `Member` of docs/developers/sharing.md."""
        grant = self.grant
        return {
            "name": self.name,
            "full_name": self.full_name,
            "role": self.role,
            "support": self.support,
            "way": grant.way if grant else HUB,
            "by_way_of": grant.by_way_of if grant else "",
            "granted_by": grant.granted_by if grant else "",
            "since": grants.iso(self.since),
            "until": grants.iso(self.until),
            "present": grants.iso(present.get(self.name)),
            "refused": self.refused,
        }


async def members(app: JupyterHub, spawner: orm.Spawner) -> list[Member]:
    """Everybody with a share of this session that gives a role, let in now or not."""
    experiments = Experiments.of(VisaSite.of(app.config).catalogue)
    settings = VisaSharing.of(app.config)
    # Read before anything is awaited: shares may go meanwhile.
    shares = [
        (share, grant, role_of(share), app.users[share.user])
        for share, grant in grants.shares_of(app.db, spawner)
    ]
    answer = []
    for share, grant, role, user in shares:
        if not role:
            continue
        try:
            stands = await standing(user, spawner, experiments)
        except NotKnown:
            name = await accounts.full_name(user)
            answer.append(Member(share, grant, user.name, name, role, NOT_KNOWN))
        else:
            member = judge(share, grant, user.name, role, stands, settings)
            if member.support and not member.refused and not await staff.roles_for(app, user, spawner):
                member = replace(member, refused=NOT_STAFF)
            answer.append(member)
    return [member for member in answer if member.share in app.db]


def judge(
    share: orm.Share, grant: Grant | None, name: str, role: str, stands: Standing, settings: VisaSharing
) -> Member:
    """What one share is worth, by what the facility says of its holder."""
    despite = set(grant.despite.split()) if grant else set()
    support_by_consent = grant is not None and grant.way == SUPPORT
    refused, lost = "", False
    if not settings.hub_shares and grant is not None and grant.role == VIEWER:
        role = VIEWER
    if not settings.hub_shares and grant is None:
        refused, lost = "was not let in by the owner", True
    elif grant is not None and grant.until is not None and grant.until <= now():
        refused, lost = "the time is over", True
    elif stands.hidden and not support_by_consent:
        if settings.outsiders_may_watch and despite.issuperset(stands.hidden):
            role = VIEWER
        else:
            refused, lost = stands.why, True
    if not refused and stands.unvouched:
        refused = stands.unvouched
    return Member(share, grant, name, stands.full_name, role, refused, lost, stands)


def away(app: JupyterHub, spawner: orm.Spawner) -> str:
    """What happens to the others while the owner is not there."""
    policy = VisaSharing.of(app.config).owner_away
    return "view-only" if policy == "leave" and is_locked(app, spawner) else policy


def is_locked(app: JupyterHub, spawner: orm.Spawner) -> bool:
    """Whether the owner has locked this session."""
    row = app.db.get(SessionPolicy, spawner.id)
    return row is not None and row.locked


async def snapshot(app: JupyterHub, spawner: orm.Spawner) -> dict:
    """What the line tells the session, as docs/developers/sharing.md has it."""
    owner = app.users[spawner.user]
    known = await accounts.known(owner)
    requests = await support.open_requests(app, spawner)
    wanted = await help.open_help(app, spawner)
    instruments = await instruments_of(app, spawner)
    found = await members(app, spawner)
    out = await put_out(app, spawner, {member.name for member in found})
    return {
        "put_out": out,
        "members": [
            {
                "name": member.name,
                "full_name": member.full_name,
                "role": member.role,
                "support": member.support,
                "since": grants.iso(member.since),
                "until": grants.iso(member.until),
            }
            for member in found
            if not member.refused
        ],
        "owner": {"name": owner.name, "full_name": known.account.name or owner.name},
        "away": away(app, spawner),
        **of_its_run(owner, spawner),
        "trust_seconds": VisaSharing.of(app.config).trust_seconds,
        "requests": requests,
        "help": wanted,
        "notices": notices.notices_for(app.db, owner.name, instruments, spawner.name),
    }


def of_its_run(owner: User, spawner: orm.Spawner) -> dict:
    """What a table says of the session itself: when it ends, whether that can be put off, what it has."""
    kept = Kept.read(spawner.state)
    run = {
        "ends": report.moment(kept.ends) or "",
        "may_extend": report.session(owner, spawner, with_log=False)["may_extend"],
    }
    return run | ({"experiments": [asdict(one) for one in kept.data]} if kept.knows_data else {})


async def instruments_of(app: JupyterHub, spawner: orm.Spawner) -> set[str]:
    """The instruments of a session's experiments, as far as the catalogue says."""
    experiments = Experiments.of(VisaSite.of(app.config).catalogue)
    found = set()
    for one in experiments_of(spawner):
        try:
            experiment = await experiments.get(one)
        except NotKnown:
            continue
        if experiment is not None:
            found.add(experiment.instrument)
    return found


async def told_members(app: JupyterHub, spawner: orm.Spawner) -> list[dict]:
    """All members as the calls tell them."""
    found = await members(app, spawner)
    present = entries.present(app.db, spawner)
    return [member.told(present) for member in found]
