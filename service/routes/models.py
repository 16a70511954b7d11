"""/v1/model/versions, rollback, retrain and jobs: which models are on disk, going back to one, and making another."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from core.bundle import BundleError
from service.answers import (
    JobAnswer,
    ModelRolledBackAnswer,
    ModelVersionAnswer,
    ModelVersionsAnswer,
    RefusedModelAnswer,
    RetrainedAnswer,
)
from service.errors import ConflictError, NotFoundError, UnavailableError
from service.identity import Credentials, require_admin
from service.live.event import iso
from service.live.keeper import Keeper
from service.model_record import record_model
from service.models import Loaded, ModelRegistry, NoModelError
from service.pacing import in_pieces
from service.refusals import Refusal, read_refusals
from service.retraining import Retraining
from service.routes.bodies import read_body
from service.routes.json import json_answer
from service.serving import Serving
from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.queries.models import UnknownModelError
from service.training_turn import training_process
from service.wire import RollbackRequest, decode, decode_retrain

logger = logging.getLogger(__name__)


class ModelRoutes:
    """The handlers with what they need."""

    def __init__(
        self,
        serving: Serving,
        registry: ModelRegistry,
        database: Database,
        keeper: Keeper,
        retraining: Retraining,
        credentials: Credentials,
        clock: Callable[[], float],
    ) -> None:
        self._serving = serving
        self._registry = registry
        self._database = database
        self._keeper = keeper
        self._retraining = retraining
        self._credentials = credentials
        self._clock = clock

    async def versions(self, request: web.Request) -> web.Response:
        """Every model on disk, the newest first."""
        return json_answer(await asyncio.to_thread(self._describe))

    async def roll_back(self, request: web.Request) -> web.Response:
        """Publish an earlier model again: the one named, or the one before the one published now."""
        require_admin(request.headers, request.remote, self._credentials)
        body = decode(RollbackRequest, await read_body(request) or b"{}")
        before = await asyncio.to_thread(self._registry.current)
        loaded = await asyncio.to_thread(self._publish, body.model_version)
        version = loaded[0].version
        self._keeper.look_now(loaded)
        await self._record(version)
        logger.info("model %s was published again instead of %s", version, before)
        return json_answer(ModelRolledBackAnswer("success", version, before))

    async def retrain(self, request: web.Request) -> web.Response:
        """Train, and answer when that is done; with `Prefer: respond-async` at once, with a job to ask for."""
        require_admin(request.headers, request.remote, self._credentials)
        body = decode_retrain(await read_body(request))
        process = await asyncio.to_thread(training_process, self._registry.directory)
        if (other := self._retraining.under_way) is not None:
            raise ConflictError(f"Another training is under way, job {other.job_id}")
        if process is not None:
            raise ConflictError(f"Another training is under way, process {process}")
        job = self._retraining.start(force=body.force)
        if "respond-async" in request.headers.get("Prefer", "").lower():
            place = {"Location": f"/v1/model/jobs/{job.job_id}"}
            return json_answer(JobAnswer(job.job_id, job.status), 202, place)
        await self._retraining.finished()
        self._keeper.look_now()
        if job.status == "success":
            return json_answer(_trained(job.report or {}))
        if job.status == "failed":
            raise UnavailableError(f"The training failed: {job.reason}")
        raise ConflictError(f"{job.reason}")

    async def job(self, request: web.Request) -> web.Response:
        """What became of a training."""
        require_admin(request.headers, request.remote, self._credentials)
        job = await asyncio.to_thread(self._retraining.job, request.match_info["job_id"])
        if job is None:
            raise NotFoundError("There is no such job, or it is forgotten")
        result = _trained(job.report) if job.report is not None else None
        return json_answer(JobAnswer(job.job_id, job.status, job.reason, result))

    def _describe(self) -> ModelVersionsAnswer:
        current, serving = self._registry.current(), self._serving.current
        in_use = None if serving is None else serving.version
        versions = reversed(self._registry.versions())
        refused = [_refused(refusal) for refusal in read_refusals(self._registry.directory)]
        return ModelVersionsAnswer(current, in_use, [self._version(version) for version in versions], refused)

    def _version(self, version: str) -> ModelVersionAnswer:
        try:
            facts = self._registry.facts(version)
        except BundleError as error:
            return ModelVersionAnswer(version, problem=str(error))
        return ModelVersionAnswer(
            version,
            iso(facts["trained_at"]),
            facts["training_samples"],
            facts["validation_metrics"],
            facts.get("validation"),
            facts.get("gate"),
        )

    def _publish(self, version: str | None) -> Loaded:
        try:
            return in_pieces(self._registry.roll_back, version)
        except NoModelError as error:
            raise NotFoundError(str(error)) from None
        except BundleError as error:
            raise ConflictError(f"That model cannot serve: {error}") from None

    async def _record(self, version: str) -> None:
        """Say in model_versions what serves; the pointer on disk is what counts, so a database away stops nothing."""
        try:
            await record_model(self._database, self._registry, version, int(self._clock()))
        except (StorageError, UnknownModelError) as error:
            logger.warning("model_versions does not say that %s serves: %s", version, error)


def _refused(refusal: Refusal) -> RefusedModelAnswer:
    return RefusedModelAnswer(
        refusal.model_version,
        iso(refusal.refused_at),
        refusal.reasons,
        refusal.training_samples,
        refusal.validation,
    )


def _trained(report: dict[str, Any]) -> RetrainedAnswer:
    return msgspec.convert(report, RetrainedAnswer)
