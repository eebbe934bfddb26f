"""The calls by which an owner adds an experiment's data to a running session, and takes them away."""

from __future__ import annotations

import json

from jupyterhub.apihandlers import default_handlers
from pydantic import BaseModel, ConfigDict, ValidationError
from tornado import web

from visa_catalogue.model import ExperimentId

from ..asked.request import MAX_DATASETS, DatasetId
from ..session import StartRefused
from .calls import AccountHandler

#: Bytes that a body may have: an id, and as many datasets as a session may be asked to have.
_MAX_BODY = 256_000
_WORDS = {
    "experiment": "must be the id of an experiment",
    "datasets": f"must be a list of at most {MAX_DATASETS} different dataset ids",
}


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    experiment: ExperimentId
    datasets: list[DatasetId] = []


class _OwnersHandler(AccountHandler):
    """A call by a session's owner."""

    def spawner(self, owner_name: str, name: str):
        """The caller's own session; a 404 for everybody else."""
        user = self.person()
        spawner = user.spawners.get(name) if user.name == owner_name else None
        if not name or spawner is None:
            raise web.HTTPError(404, "session: there is none of that name whose data you may change")
        if not self.has_scope(f"servers!server={owner_name}/{name}"):
            raise web.HTTPError(403, "token: it is not good for this session")
        return spawner

    async def carry_out(self, spawner, work) -> None:
        """Do it, and answer with what the session has now; a refusal in words that begin with the field."""
        try:
            await work
        except StartRefused as error:
            # What a start calls so, of which there is one here.
            field = "experiment" if error.field == "experiments" else error.field
            raise web.HTTPError(error.status, f"{field}: {error.words}") from None
        options = spawner.kept.options
        self.write(json.dumps({name: list(options.get(name) or ()) for name in ("experiments", "datasets")}))


class DataHandler(_OwnersHandler):
    """One more experiment for a session that runs."""

    async def post(self, owner_name: str, name: str):
        spawner, asked = self.spawner(owner_name, name), self._asked()
        await self.carry_out(spawner, spawner.add_data(asked.experiment, asked.datasets))

    def _asked(self) -> _Asked:
        try:
            values = json.loads(self.request.body) if len(self.request.body) <= _MAX_BODY else None
        except (ValueError, RecursionError):
            values = None
        if not isinstance(values, dict):
            raise web.HTTPError(400, "body: must be one JSON object, and a small one")
        try:
            asked = _Asked.model_validate(values)
        except ValidationError as error:
            field = str(error.errors()[0]["loc"][0])
            if field not in _WORDS:
                raise web.HTTPError(400, "body: takes experiment and datasets, and nothing else") from None
            raise web.HTTPError(400, f"{field}: {_WORDS[field]}") from None
        if len(asked.datasets) > MAX_DATASETS or len(set(asked.datasets)) < len(asked.datasets):
            raise web.HTTPError(400, f"datasets: {_WORDS['datasets']}")
        return asked


class OneDataHandler(_OwnersHandler):
    """An experiment that a running session has."""

    async def delete(self, owner_name: str, name: str, experiment: str):
        spawner = self.spawner(owner_name, name)
        await self.carry_out(spawner, spawner.take_data_away(experiment))


_HANDLERS = [
    ("/api/visa/sessions/([^/]+)/([^/]+)/data", DataHandler),
    ("/api/visa/sessions/([^/]+)/([^/]+)/data/([^/]+)", OneDataHandler),
]


def join_hub() -> None:
    """Add the calls to the hub's own; harmless when done already. Must come before the hub starts."""
    for handler in _HANDLERS:
        if handler not in default_handlers:
            default_handlers.append(handler)
