"""`python -m service.warm`: compile every kernel that serving uses and keep them in NUMBA_CACHE_DIR; for images."""

import asyncio
import os
import time

from service.process import prepare_this_process

prepare_this_process()

from service.database import open_configured_database  # noqa: E402 - numba reads the environment when it is imported
from service.live.state import LiveState  # noqa: E402
from service.live.trial import try_out  # noqa: E402
from service.models import ModelRegistry  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.storage.queries.events import stream_events  # noqa: E402


async def warm(settings: Settings) -> None:
    """Let the published model answer once with every arm."""
    model, _ = ModelRegistry(settings.models_directory).load()
    state = LiveState(model)
    database = await open_configured_database(settings)
    try:
        async for batch in stream_events(database):
            state.put_events(batch.events)
    finally:
        await database.close()
    state.settle_events()
    state.build_content()
    try_out(state, time.time())


if __name__ == "__main__":
    asyncio.run(warm(Settings.from_environment(os.environ)))
