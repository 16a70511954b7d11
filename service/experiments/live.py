"""The experiments as this process knows them at the moment: what requests ask, and what keeps it current."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from service.experiments.assignment import NO_CHOICE, Assigner, Choice
from service.experiments.definition import Experiment
from service.experiments.revisions import Revision, in_force
from service.experiments.standing import make_standing_experiment
from service.experiments.sticky import Sticky
from service.experiments.stores import ExperimentStore
from service.storage.errors import StorageError
from service.storage.sparse_log import SparseLog
from service.tasks import end_tasks

logger = logging.getLogger(__name__)

#: A start waits so long for the store before it goes on with what was known last.
START_SECONDS = 1.0

_DECODER = msgspec.json.Decoder(list[Revision])


class LiveExperiments:
    """Answers requests from memory. What the store said last is kept in `file`, for a start without the store.

    `default` is made when the store has no experiment of its name; `arms` are those that exist.
    """

    def __init__(
        self,
        store: ExperimentStore,
        file: Path,
        default: Experiment,
        arms: Collection[str],
        clock: Callable[[], float],
        sticky: Sticky | None = None,
    ) -> None:
        self._store = store
        self._file = file
        self._default = default
        self._arms = arms
        self._clock = clock
        self._sticky = sticky or Sticky(store)
        self._revisions: list[Revision] = []
        self._assigner = Assigner([])
        self._changes_at = float("inf")
        self._is_prepared = False
        self._problem: str | None = None
        self._news = asyncio.Event()
        self._log = SparseLog(logger)

    def choose_at_once(self, user_id: str | None, now: float) -> Choice | None:
        """What the experiments say about an answer to this person; None when `choose` must be awaited for it."""
        if user_id is None:
            return NO_CHOICE  # nobody in particular, who could not be shown the same the next time
        if now >= self._changes_at:
            self._rebuild(now)
        drawn = self._assigner.draw(user_id, now)
        for place, draw in enumerate(drawn):
            if draw.is_unsure:
                known = self._sticky.recalled(draw, user_id)
                if known is None:
                    return None
                drawn[place] = known
        return self._assigner.choice(drawn)

    async def choose(self, user_id: str, now: float) -> Choice:
        """The same for someone whose bucket has moved; waits for the store, but not for long."""
        assigner = self._assigner
        drawn = [
            await self._sticky.settle(draw, user_id, now) if draw.is_unsure else draw
            for draw in assigner.draw(user_id, now)
        ]
        return assigner.choice(drawn)

    def forget(self, user_id: str) -> None:
        """Remember nothing of a person any more."""
        self._sticky.forget(user_id)

    def look_now(self) -> None:
        """Look at the store without waiting for the next time, because this process has changed something."""
        self._news.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Know what was known last, or what the store says if it does so in time; then follow it until the end."""
        recalled = await asyncio.to_thread(_recalled, self._file)
        self._take(recalled)
        looked = asyncio.Event()
        following = asyncio.create_task(self._follow(looked.set))
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(START_SECONDS):
                    await looked.wait()
            yield
        finally:
            await end_tasks([following])

    async def refresh(self) -> None:
        """Take over what the store has now. Raises StorageError."""
        if not self._is_prepared:
            await self._store.prepare()
            self._is_prepared = True
        revisions = list(await make_standing_experiment(self._store, self._default, self._clock()))
        if revisions != self._revisions:
            self._take(revisions)
            await asyncio.to_thread(_keep, self._file, revisions)

    async def _follow(self, on_look: Callable[[], None]) -> None:
        while True:
            self._news.clear()
            await self._attempt()
            on_look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._store.poll_seconds):
                    await self._news.wait()

    async def _attempt(self) -> None:
        """Look once. A failure is told once, and tried again the next time."""
        try:
            await self.refresh()
        except Exception as error:  # logged; were the loop to end, changes would go unseen
            said = str(error) or type(error).__name__
            if said != self._problem:
                foreseen = isinstance(error, StorageError | OSError)
                logger.warning("experiments: %s", said, exc_info=None if foreseen else error)
            self._problem = said
        else:
            if self._problem is not None:
                logger.info("experiments: working again")
            self._problem = None

    def _take(self, revisions: Sequence[Revision]) -> None:
        self._revisions = list(revisions)
        self._rebuild(self._clock())

    def _rebuild(self, now: float) -> None:
        found = in_force(self._revisions, now).values()
        self._assigner = Assigner(sorted(filter(self._can_run, found), key=_seniority))
        later = [one.effective_at for one in self._revisions if one.effective_at > now]
        self._changes_at = min(later, default=float("inf"))

    def _can_run(self, revision: Revision) -> bool:
        """Whether this release has all the arms, which one that was rolled back may not."""
        wanted = {variant.arm for variant in revision.experiment.variants} - {None}
        missing = sorted(wanted.difference(self._arms), key=str)
        if missing and revision.experiment.status == "running":
            self._log.warning("%s cannot run: there is no arm %s", revision.experiment_id, missing[0])
        return not missing


def _seniority(revision: Revision) -> tuple[float, str]:
    """Older experiments go first, in every process alike."""
    return revision.created_at, revision.experiment_id


def _keep(file: Path, revisions: Sequence[Revision]) -> None:
    fresh = file.with_suffix(f".{os.getpid()}.new")
    fresh.write_bytes(msgspec.json.encode(revisions))
    fresh.replace(file)


def _recalled(file: Path) -> list[Revision]:
    """What was kept; nothing when there is none, or none that this release can read."""
    try:
        return _DECODER.decode(file.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        logger.warning("%s: %s", file, error)
        return []
