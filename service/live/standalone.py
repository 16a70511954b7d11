"""The live state without a server: a published model, brought up to date from the database once."""

from collections.abc import Callable

from service.live.follower import Follower
from service.live.last_known import LastKnown
from service.live.state import LiveState
from service.models import ModelRegistry
from service.storage.database import Database


async def load_state(registry: ModelRegistry, database: Database, clock: Callable[[], float]) -> LiveState:
    """The published model with everything that happened since, as far as the database has it.

    Raises NoModelError, BundleError, StorageError.
    """
    model, facts = registry.load()
    state = LiveState(model)
    follower = Follower(state, facts, database, None, LastKnown(None), clock, removals_seconds=0.0)
    await follower.follow_site()
    return state
