"""`python -m service.warm`: compile every kernel that serving uses and keep them in NUMBA_CACHE_DIR; for images."""

import asyncio
import os
import time

from service.process import prepare_this_process

prepare_this_process()

from service.database import open_configured_database  # noqa: E402 - numba reads the environment when it is imported
from service.experiments.assignment import hash_state  # noqa: E402
from service.live.standalone import load_state  # noqa: E402
from service.live.trial import try_out  # noqa: E402
from service.models import ModelRegistry  # noqa: E402
from service.settings import Settings  # noqa: E402


async def warm(settings: Settings) -> None:
    """Let the published model answer once with every arm, and hash something."""
    hash_state("")
    database = await open_configured_database(settings)
    try:
        state = await load_state(ModelRegistry(settings.models_directory), database, time.time)
    finally:
        await database.close()
    try_out(state, time.time())


if __name__ == "__main__":
    asyncio.run(warm(Settings.from_environment(os.environ)))
