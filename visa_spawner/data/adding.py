"""Another experiment's data for a session that runs, and their leaving again, without a restart.

What may be there by now is committed before anything is mounted (`Kept.adding`), and what is on its way out
before anything is taken away (`Kept.removing`): a hub that was killed in between sets it right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from visa_session.contract import PASSPORT, ExperimentInfo

from ..asked.admission import granted_account
from ..asked.authorise import Accepted, authorise
from ..asked.request import parse, shown
from ..kept import passport
from ..kept.state import Kept
from ..session import Person, StartRefused
from ..start import compose
from . import holding

#: Of a session whose backend did not say whether the last change was made.
NOT_SURE = "the last change to its data is not over yet; try again in a minute"


class Adding:
    """Mixed into `VisaSpawner`."""

    @property
    def why_not_added(self) -> str:
        """In words for its owner, why no data can be added to it or taken away now; empty where they can."""
        if self.kept.phase != "running" or not self.ready or self.put_back or not self.child_spawner:
            return "it does not run at the moment"
        if not self.kept.knows_data:
            return "it was started by an earlier version; start it again to change its data"
        return self.child_spawner.fixed_data

    @property
    def has_unsettled_data(self) -> bool:
        """Whether a change to its data was begun and nobody goes on with it."""
        begun = self.kept.adding is not None or bool(self.kept.removing)
        return begun and self.kept.phase == "running" and not self._changing_data.locked()

    async def add_data(self, experiment: str, datasets: Sequence[str] = ()) -> None:
        """Add an experiment's data, as its owner asks; the rights are those of a start.

        Raises StartRefused in words, naming the field; nothing of it is in the session then.
        """
        async with self._changing_data:
            run, child = self.kept.started, await self._child_to_change()
            if experiment in self._held_ids():
                raise StartRefused("it is in this session already", field="experiment", status=409)
            accepted, who = await self._may_have(experiment, datasets)
            new = _chosen(compose.experiment_info(accepted, accepted.experiments[-1]), datasets)
            members, reached = self.site.members, False
            await members.may_have(self.orm_spawner, new.id)
            kept = self._still_runs(run)
            wanted = holding.to_add(new, kept.data, kept.home, kept.others)
            self._kept = kept.but(adding=new)
            self.remember()
            try:
                # Whoever only watches and may not see it is out before it is there.
                await members.settled(self.orm_spawner)
                # Once more, for who has come or been let in since it was asked.
                await members.may_have(self.orm_spawner, new.id)
                proposals = {one.id: one.proposal for one in accepted.experiments}
                made = self._passport([*self.kept.data, new], accepted.request.datasets, proposals)
                pinned = await asyncio.to_thread(self._pin, wanted, who)
                try:
                    self._still_runs(run)
                    reached = True
                    await child.add_data([one.bind for one in pinned], holding.links_to(new), _texts(made))
                finally:
                    await asyncio.to_thread(self.site.staging.unpin, pinned)
                self._hold(run, [*self.kept.data, new], accepted.request.datasets, made)
            except Exception as error:
                # What a backend refuses was never there.
                was_there = reached and not isinstance(error, StartRefused)
                await self._take_back(run, child, new, was_there)
                raise self._in_words(error, "added") from error

    async def take_data_away(self, experiment: str) -> None:
        """Take an experiment's data out of the session; what is open there stays open to who has it open.

        Raises StartRefused in words, naming the field.
        """
        async with self._changing_data:
            run, child = self.kept.started, await self._child_to_change()
            account = granted_account(await self.user.get_auth_state(), self.user.name)
            self._still_runs(run)
            old = next((one for one in self.kept.data if one.id == experiment), None)
            if old is None:
                raise StartRefused("it is not in this session", field="experiment", status=404)
            rest = [one for one in self.kept.data if one is not old]
            home_only = self.site.limits.home_only_roles
            if not rest and home_only.isdisjoint(account.roles):
                words = "it is the only experiment of this session; stop the session instead"
                raise StartRefused(words, field="experiment", status=409)
            holding.to_remove(old, rest, self.kept.home, self.kept.others)
            self._kept = self.kept.but(removing=old.id)
            self.remember()
            try:
                await self._remove(run, child, old, rest)
            except Exception as error:
                raise self._in_words(error, "taken away") from error

    async def settle_data(self) -> None:
        """Take back, or go through with, what a killed hub had begun; raises what the backend does."""
        async with self._changing_data:
            await self._settle(self.child_spawner)

    async def _settle(self, child) -> None:
        kept = self.kept
        if kept.adding is not None:
            await self._undo(kept.started, child, kept.adding, was_there=True)
        if kept.removing:
            old = next((one for one in kept.data if one.id == kept.removing), None)
            rest = [one for one in kept.data if one is not old]
            if old is not None:
                await self._remove(kept.started, child, old, rest)

    # What both do ------------------------------------------------------------------------------------
    async def _child_to_change(self):
        """The backend's child, nothing being under way; raises StartRefused."""
        if words := self.why_not_added:
            raise StartRefused(words, field="session", status=409)
        child = self.child_spawner
        if self.kept.adding is not None or self.kept.removing:
            try:
                await self._settle(child)
            except Exception as error:
                raise self._in_words(error, "changed") from error
        return child

    def _held_ids(self) -> list[str]:
        return list(self.kept.options.get("experiments") or ())

    async def _may_have(self, experiment: str, datasets: Sequence[str]) -> tuple[Accepted, Person]:
        """All that the session would be with it, authorised as a start of that would be."""
        options = self.kept.options
        together = dict.fromkeys([*(options.get("datasets") or ()), *datasets])
        asked = {"experiments": [*self._held_ids(), experiment], "datasets": list(together)}
        request = parse(options | asked | {"lifetime_hours": None})
        site = self.site
        account = granted_account(await self.user.get_auth_state(), self.user.name)
        accepted = await authorise(request, account, site.catalogue, site.profiles, site.limits)
        own = {one.id for one in accepted.datasets if one.experiment == experiment}
        for one in datasets:
            if one not in own:
                words = f"there is no dataset {shown(one)} in {experiment}"
                raise StartRefused(words, field="datasets")
        return accepted, compose.person(account)

    def _pin(self, wanted, who: Person):
        staging = self.site.staging
        pinned = staging.stage(self.key, wanted, who)
        try:
            staging.confirm(pinned, who)
        except BaseException:
            staging.unpin(pinned)
            raise
        return pinned

    async def _take_back(self, run, child, new: ExperimentInfo, was_there: bool) -> None:
        """What an attempt had made; what cannot be told stays `adding` until it is."""
        try:
            await self._undo(run, child, new, was_there)
        except Exception:
            self.log.exception("%s: whether data of %s are in it is not known", self._log_name, new.id)

    async def _undo(self, run, child, new: ExperimentInfo, was_there: bool) -> None:
        """Have the session, and its passport, as they are without what was being added; commits that."""
        held = self._passport(self.kept.data, self.kept.options.get("datasets") or ())
        await self._unbind(run, child, new, self.kept.data, _texts(held))
        if self.kept.started != run:
            return
        if held and held != self._last_passport():
            self.site.passports.keep(self.user.db, held)
        self._kept = self.kept.but(adding=None, taken=self._taken([new.id] if was_there else []))
        self.remember()

    async def _unbind(self, run, child, old: ExperimentInfo, rest, texts) -> None:
        kept = self.kept
        if child is not None and kept.phase and kept.started == run:
            targets = holding.to_remove(old, rest, kept.home, kept.others)
            await child.remove_data(targets, list(holding.links_to(old)), texts)

    async def _remove(self, run, child, old: ExperimentInfo, rest: list[ExperimentInfo]) -> None:
        datasets = {one.id for held in rest for one in held.datasets}
        left = [one for one in self.kept.options.get("datasets") or () if one in datasets]
        made = self._passport(rest, left)
        await self._unbind(run, child, old, rest, _texts(made))
        self._hold(run, rest, left, made)

    def _taken(self, gone: Iterable[str]) -> dict[str, datetime]:
        """What was taken away in this run, with these: what has them open reads them until the run ends."""
        return {**self.kept.taken, **dict.fromkeys(gone, datetime.now(UTC))}

    def _hold(self, run, data: Sequence[ExperimentInfo], datasets: Sequence[str], made: dict | None) -> None:
        """Commit what the session has from now on: it, its members and its log are told by that."""
        before = self._still_runs(run)
        gone = [one.id for one in before.data if one not in data]
        options = before.options | {"experiments": [one.id for one in data], "datasets": list(datasets)}
        try:
            if made:
                self.site.passports.keep(self.user.db, made)
            changed = {"options": options, "data": tuple(data), "taken": self._taken(gone)}
            self._kept = before.but(**changed, adding=None, removing="")
            self.orm_spawner.user_options = options
            self.remember()
        except Exception:
            self.user.db.rollback()
            self._kept = before
            raise
        self.user_options = options

    def _passport(self, data, datasets, proposals=MappingProxyType({})) -> dict | None:
        """The session's passport with other experiments; None where it is not known."""
        last = self._last_passport()
        return passport.changed(last, data, datasets, proposals) if last else None

    def _last_passport(self) -> dict | None:
        return self.site.passports.last(self.user.db, self.user.name, self.name)

    def _still_runs(self, run: datetime | None) -> Kept:
        """What is kept of the run that was asked for then; raises StartRefused where that is over."""
        if self.kept.phase != "running" or self.kept.started != run:
            raise StartRefused("it does not run any more", field="session", status=409)
        return self.kept

    def _in_words(self, error: Exception, done: str) -> StartRefused:
        if isinstance(error, StartRefused):
            return error
        self.log.exception("%s: its data could not be %s", self._log_name, done)
        pending = self.kept.adding is not None or self.kept.removing
        words = (
            NOT_SURE if pending else f"its data could not be {done}; the facility's staff can find out why"
        )
        return StartRefused(words, field="session", status=503)

    def _get_ready_to_add(self) -> None:
        self._changing_data = asyncio.Lock()


def _chosen(info: ExperimentInfo, datasets: Sequence[str]) -> ExperimentInfo:
    """The experiment with the datasets that were asked for now alone."""
    return replace(info, datasets=tuple(one for one in info.datasets if one.id in datasets))


def _texts(made: dict | None) -> dict[str, str]:
    return {PASSPORT: passport.text(made)} if made else {}
