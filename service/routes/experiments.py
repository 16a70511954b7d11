"""/v1/experiments: what there is, what came of it, and for admins how to change it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import orjson
from aiohttp import web

from service.errors import BadRequestError, UnavailableError
from service.experiments.admin import ExperimentAdmin
from service.experiments.definition import Status
from service.experiments.live import LiveExperiments
from service.experiments.people import VariantPeople, gather_people
from service.experiments.planning import PlanRequest, plan_for
from service.experiments.results.answers import ResultsAnswer
from service.experiments.results.rows import results_csv
from service.experiments.revisions import Revision
from service.experiments.rows import csv_of, rows_of
from service.experiments.stores import PeopleReader
from service.experiments.wire import (
    ExperimentChange,
    ExperimentRequest,
    ExperimentsAnswer,
    described,
    described_in_detail,
)
from service.identity import Credentials, require_admin
from service.routes.bodies import read_body
from service.routes.json import json_answer
from service.wire import decode

#: From all versions of an experiment and its people to its results; runs in a thread of its own.
Summarise = Callable[[Sequence[Revision], Mapping[str, VariantPeople]], ResultsAnswer]


class ExperimentRoutes:
    """The handlers with what they need."""

    def __init__(
        self,
        reader: PeopleReader,
        admin: ExperimentAdmin,
        live: LiveExperiments,
        summarise: Summarise,
        credentials: Credentials,
    ) -> None:
        self._reader = reader
        self._admin = admin
        self._live = live
        self._summarise = summarise
        self._credentials = credentials
        #: one reading of everyone at a time, so that their memory is never taken twice
        self._reading = asyncio.Lock()

    async def list_all(self, request: web.Request) -> web.Response:
        """Every experiment."""
        found = [described(revision) for revision in await self._admin.all()]
        return json_answer(ExperimentsAnswer(found, len(found)))

    async def show(self, request: web.Request) -> web.Response:
        """One experiment with its changes."""
        return json_answer(described_in_detail(await self._admin.history(_id(request))))

    async def results(self, request: web.Request) -> web.Response:
        """What came of one."""
        wanted = _format(request, "json")
        async with self._reading:
            history, people = await self._people(request)
            found = await asyncio.to_thread(self._summarise, history, people)
        if wanted == "json":
            return json_answer(found)
        return web.Response(text=results_csv(found), content_type="text/csv")

    async def export(self, request: web.Request) -> web.Response:
        """The counts of each person, without names, to compute with elsewhere."""
        require_admin(request.headers, request.remote, self._credentials)
        wanted = _format(request, "csv")
        async with self._reading:
            _, people = await self._people(request)
            rows = await asyncio.to_thread(rows_of, people)
        if wanted == "json":
            return web.Response(body=orjson.dumps(rows), content_type="application/json")
        return web.Response(text=csv_of(rows), content_type="text/csv")

    async def plan(self, request: web.Request) -> web.Response:
        """How many people an experiment needs."""
        asked = decode(PlanRequest, await read_body(request))
        return json_answer(await plan_for(asked, self._reader, self._admin))

    async def create(self, request: web.Request) -> web.Response:
        """A new draft."""
        require_admin(request.headers, request.remote, self._credentials)
        asked = decode(ExperimentRequest, await read_body(request))
        return self._changed(await self._admin.create(asked.experiment()), status=201)

    async def change(self, request: web.Request) -> web.Response:
        """Another definition."""
        require_admin(request.headers, request.remote, self._credentials)
        asked = decode(ExperimentChange, await read_body(request))
        return self._changed(await self._admin.change(_id(request), asked.applied_to))

    async def start(self, request: web.Request) -> web.Response:
        """Assign people from now on."""
        return await self._move_to(request, "running")

    async def pause(self, request: web.Request) -> web.Response:
        """Assign nobody until it is started again."""
        return await self._move_to(request, "paused")

    async def complete(self, request: web.Request) -> web.Response:
        """Assign nobody any more."""
        return await self._move_to(request, "completed")

    async def _move_to(self, request: web.Request, status: Status) -> web.Response:
        require_admin(request.headers, request.remote, self._credentials)
        return self._changed(await self._admin.move_to(_id(request), status))

    async def _people(self, request: web.Request) -> tuple[Sequence[Revision], Mapping[str, VariantPeople]]:
        history = await self._admin.history(_id(request))
        experiment = history[-1].experiment
        return history, await gather_people(self._reader, experiment.experiment_id, experiment.variant_ids)

    def _changed(self, revision: Revision, status: int = 200) -> web.Response:
        self._live.look_now()
        return json_answer(described(revision), status)


class StoreAwayError(UnavailableError):
    """The store of experiments does not answer."""

    def __init__(self, detail: str, *, retry_after: int | None = None) -> None:
        # What the store said names machines, which is not for callers.
        super().__init__("What keeps the experiments does not answer at the moment", retry_after=5)


def _format(request: web.Request, default: str) -> str:
    wanted = request.query.get("format", default)
    if wanted not in ("csv", "json"):
        raise BadRequestError(f"format: expected csv or json, got {wanted!r}")
    return wanted


def _id(request: web.Request) -> str:
    return request.match_info["experiment_id"]
