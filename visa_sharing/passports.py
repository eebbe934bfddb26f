"""Passports in the hub's database: kept at a start, found again years later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from visa_spawner.kept.passport import Passports
from visa_spawner.session import Start

from .database import Passport, PassportExperiment, Software

#: A week of a large facility has a tenth of it.
MOST_STARTS = 50_000


class KeptPassports(Passports):
    """What the hub remembers of passports, in our tables."""

    def keep(self, db: Session, passport: Mapping[str, Any]) -> None:
        """Keep one; committed when it returns."""
        # What fails here must leave the hub's own session of the database as it was.
        with db.begin_nested():
            self._keep(db, passport)
        db.commit()

    def _keep(self, db: Session, passport: Mapping[str, Any]) -> None:
        image, packages = passport["image"], passport["packages"]
        key = image["digest"] or f"list:{hashlib.sha256(json.dumps(packages).encode()).hexdigest()}"
        known = db.get(Software, key)
        if known is None:
            db.add(Software(key=key, recipe=image["recipe"], packages=packages))
            db.flush()
        elif packages and not known.packages:
            # Once they could not be read.
            known.packages = packages
        row = Passport(
            owner=passport["owner"],
            session=passport["session"],
            started=datetime.fromisoformat(passport["started"]).astimezone(UTC).replace(tzinfo=None),
            profile=passport["profile"]["name"],
            plan=passport["plan"]["name"],
            software=key,
            details={name: value for name, value in passport.items() if name != "packages"},
        )
        db.add(row)
        db.flush()
        ids = {one["id"] for one in passport["experiments"]}
        db.add_all(PassportExperiment(passport_id=row.id, experiment=one) for one in sorted(ids))

    def last(self, db: Session, owner: str, session: str) -> dict[str, Any] | None:
        """The passport of a session's last start, with what was added since; None where there is none."""
        return last(db, owner, session)

    def recipe_of(self, db: Session, digest: str) -> str:
        """Of which recipe an image was that sessions have had here; empty where none has."""
        known = db.get(Software, digest)
        return known.recipe if known else ""

    def starts(self, db: Session, since: datetime) -> Sequence[Start]:
        """The starts since then, the earliest first; at most the last `MOST_STARTS`."""
        question = (
            select(Passport.profile, Passport.plan, Passport.started)
            .where(Passport.started >= since.astimezone(UTC).replace(tzinfo=None))
            .order_by(Passport.id.desc())
            .limit(MOST_STARTS)
        )
        rows = db.execute(question).all()
        return [Start(profile, plan, when.replace(tzinfo=UTC)) for profile, plan, when in reversed(rows)]


def last(db: Session, owner: str, session: str) -> dict[str, Any] | None:
    """The passport of a session's last start, whether the session is still there or not."""
    question = (
        select(Passport, Software)
        .join(Software, Software.key == Passport.software)
        .where(Passport.owner == owner, Passport.session == session)
        .order_by(Passport.id.desc())
        .limit(1)
    )
    found = db.execute(question).first()
    if found is None:
        return None
    passport, software = found
    return {**passport.details, "packages": software.packages}


def used(
    db: Session, experiment: str, you: str, team: Collection[str], profiles: Collection[str]
) -> list[dict[str, Any]]:
    """Which profiles somebody and their team have worked with on an experiment, the latest use first.

    One entry for each profile and whom: "you", or "team" for anybody of `team` but you. Strangers, who may
    use open data, and profiles other than these are left out.
    """
    question = (
        select(Passport.owner, Passport.profile, Passport.plan, Passport.started)
        .join(PassportExperiment, PassportExperiment.passport_id == Passport.id)
        .where(
            PassportExperiment.experiment == experiment,
            Passport.owner.in_({you, *team}),
            Passport.profile.in_(profiles),
        )
        .order_by(Passport.id.desc())
        .limit(1000)
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for owner, profile, plan, started in db.execute(question):
        by = "you" if owner == you else "team"
        when = started.replace(tzinfo=UTC).isoformat(timespec="seconds")
        told = {"experiment": experiment, "profile": profile, "plan": plan, "by": by, "when": when}
        found.setdefault((by, profile), told)
    return list(found.values())
