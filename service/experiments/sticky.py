"""Those whose bucket has moved: they may have been shown another variant before, which they then keep.

Only for them does a request ask the store, and not for long: the map answers when the store does not. A store that
did not answer is left alone for a while, and then asked for one person at first, so that it costs one request in some
seconds its patience and no more.
"""

import asyncio
import logging
import time
from collections import OrderedDict

from service.experiments.assignment import Draw
from service.experiments.stores import ExperimentStore
from service.storage.errors import StorageError
from service.storage.sparse_log import SparseLog

logger = logging.getLogger(__name__)

#: How long a request waits for the store.
PATIENCE_SECONDS = 0.05
#: How long a store that did not answer is not asked.
REST_SECONDS = 5.0
#: People whose variant is remembered; about 200 bytes each.
_REMEMBERED = 20_000


class Sticky:
    """Asks the store, and remembers. The first process to claim a person decides for all."""

    def __init__(
        self,
        store: ExperimentStore,
        patience_seconds: float = PATIENCE_SECONDS,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._store = store
        self._patience_seconds = patience_seconds
        self._rest_seconds = rest_seconds
        self._rests_until = 0.0
        self._has_failed = self._is_tried = False
        self._known: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._log = SparseLog(logger)

    async def settle(self, draw: Draw, user_id: str, now: float) -> Draw:
        """The draw with the variant that holds for the person; `now` in seconds since 1970."""
        if (known := self.recalled(draw, user_id)) is not None:
            return known
        revision = draw.running.revision
        mapped = revision.experiment.variant_ids[draw.place]
        variant = await self._held(revision.experiment_id, user_id, mapped, revision.map_version, now)
        return _with_variant(draw, variant)

    def recalled(self, draw: Draw, user_id: str) -> Draw | None:
        """The same at once, for somebody who is remembered; None for others."""
        key = draw.running.experiment_id, user_id
        variant = self._known.get(key)
        if variant is None:
            return None
        self._known.move_to_end(key)
        return _with_variant(draw, variant)

    def forget(self, user_id: str) -> None:
        """Remember nothing of a person any more."""
        for key in [key for key in self._known if key[1] == user_id]:
            del self._known[key]

    async def _held(
        self, experiment_id: str, user_id: str, variant: str, map_version: int, now: float
    ) -> str:
        key = experiment_id, user_id
        if self._is_tried or time.monotonic() < self._rests_until:
            return variant
        self._is_tried = self._has_failed
        try:
            async with asyncio.timeout(self._patience_seconds):
                held = await self._store.claim(experiment_id, user_id, variant, map_version, now)
        except (StorageError, TimeoutError) as error:
            self._has_failed = True
            self._rests_until = time.monotonic() + self._rest_seconds
            self._log.warning("people are assigned by the map alone: %s", str(error) or "no answer in time")
            return variant
        finally:
            self._is_tried = False
        self._has_failed = False
        self._known[key] = held
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return held


def _with_variant(draw: Draw, variant: str) -> Draw:
    ids = draw.running.revision.experiment.variant_ids
    # A variant of that name is always there: none can be taken out once people take part.
    return Draw(draw.running, ids.index(variant) if variant in ids else draw.place, is_unsure=False)
