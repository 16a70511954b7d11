"""Deleting records of answers that are older than PREDICTION_RETENTION_DAYS, a few at a time."""

import asyncio
import logging
from collections.abc import Callable

from service.storage.database import Database
from service.storage.errors import StorageError
from service.storage.queries.retention import delete_expired_cache, delete_old_predictions

logger = logging.getLogger(__name__)

_DAY = 86_400
_HOUR = 3_600.0
#: Before the first look, so that a start has the database to itself and a service that restarts often still looks.
_FIRST_WAIT = 60.0


class Retention:
    """Every process may run one: deleting what is deleted already does nothing."""

    def __init__(self, database: Database, days: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._days = days
        self._clock = clock

    async def run(self) -> None:
        """Look soon, and then once an hour, for ever."""
        await asyncio.sleep(_FIRST_WAIT)
        while True:
            try:
                await self.delete_old()
            except StorageError as error:
                logger.warning("old rows stay for another hour: %s", error)
            await asyncio.sleep(_HOUR)

    async def delete_old(self) -> int:
        """Delete what is too old now; returns how many rows. Raises StorageError."""
        now = int(self._clock())
        deleted = await delete_old_predictions(self._database, now - self._days * _DAY)
        return deleted + await delete_expired_cache(self._database, now)
