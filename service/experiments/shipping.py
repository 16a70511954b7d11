"""Sends what experiments count from the durable queue to the store, in order and once in effect.

A store that is away costs nothing but time: counts add up on disk meanwhile.
"""

import asyncio
import logging
from contextlib import closing

from service.experiments.stores import ExperimentStore
from service.storage.draining import backoff_seconds
from service.storage.errors import StorageError
from service.storage.file_lock import FileLock
from service.storage.queue import DurableQueue
from service.storage.queue_entries import QueueError

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 1.0


class Shipper:
    """Every process of a machine may have one; one of them works."""

    def __init__(self, queue: DurableQueue, store: ExperimentStore) -> None:
        self._queue = queue
        self._store = store
        self._failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why counts wait, None when they do not have to. For operators."""
        return self._failure

    async def run(self) -> None:
        """Send until cancelled, as soon as no other process does. OSError when the lock's file cannot be had."""
        with closing(FileLock(self._queue.settings.shipping_lock_file)) as lock:
            while not lock.try_acquire():  # noqa: ASYNC110 - another process's lock has no event to wait for
                await asyncio.sleep(_LOCK_SECONDS)
            failures = 0
            while True:
                failures = 0 if await self._attempt() else failures + 1
                pause = backoff_seconds(failures) if failures else 0.0
                await asyncio.sleep(max(self._store.ship_seconds, pause))

    async def ship_once(self) -> bool:
        """Send one shipment, erasures before it; returns whether there was one. Not for two at a time.

        Raises StorageError and QueueError: what was to be sent waits.
        """
        for user_id in await self._queue.forgotten():
            await self._store.forget(user_id)
            await self._queue.settle_forgotten(user_id)
        shipment = await self._queue.shipment(self._store.hold_seconds)
        if shipment is None:
            return False
        await self._store.add(shipment.source, shipment.number, shipment.increments)
        await self._queue.settle_shipment(shipment.number, remembers_people=self._store.hold_seconds > 0)
        return True

    async def _attempt(self) -> bool:
        """Send all there is; whether that went well."""
        try:
            while await self.ship_once():
                pass
        except Exception as error:  # logged; were this to end, counts would wait for ever unseen
            known = isinstance(error, StorageError | QueueError)
            if self._failure is None or not known:
                logger.warning("what experiments count waits: %s", error, exc_info=None if known else error)
            self._failure = str(error) or type(error).__name__
            return False
        if self._failure is not None:
            logger.info("what experiments count is sent again after: %s", self._failure)
            self._failure = None
        return True
