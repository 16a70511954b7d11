"""Keeps what is served current: loads the model and the catalogue, and follows what changes."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.bundle import BundleError
from service.answers import ReadyAnswer
from service.live.state import LiveState
from service.live.trial import try_out
from service.metrics import Metrics
from service.models import ModelRegistry, NoModelError
from service.serving import Serving
from service.storage.database import Database
from service.storage.errors import StorageUnavailable
from service.storage.queries.events import EventRow, stream_events

logger = logging.getLogger(__name__)


class Keeper:
    """Owns the way from disk and database into `Serving`."""

    def __init__(
        self,
        database: Database,
        registry: ModelRegistry,
        serving: Serving,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._registry = registry
        self._serving = serving
        self._metrics = metrics
        self._clock = clock
        self._problems: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Load once at the start."""
        await self.load()
        yield

    def readiness(self) -> ReadyAnswer:
        """Whether this process should get traffic."""
        state = self._serving.current
        return ReadyAnswer(
            status="ready" if state else "not_ready",
            model_version=state.version if state else None,
            database="connected",
            serving_from="database" if state else "nothing",
            data_age_seconds=None,
            problems=self._problems,
        )

    async def load(self) -> None:
        """Load the published model and the catalogue; what is wrong with either is said by `readiness`."""
        try:
            model, facts = await asyncio.to_thread(self._registry.load)
        except (NoModelError, BundleError) as error:
            logger.error("%s", error)
            self._problems = [str(error)]
            return
        state = LiveState(model)
        state.put_events((await self._read_events()).values())
        try_out(state, self._clock())
        self._serving.current, self._serving.facts = state, facts
        self._metrics.set_model(model.version, facts["trained_at"])

    async def _read_events(self) -> dict[str, EventRow]:
        try:
            return {e.event_id: e async for batch in stream_events(self._database) for e in batch.events}
        except StorageUnavailable as error:
            self._problems = [str(error)]
            return {}
