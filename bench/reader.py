"""Read the database that the environment names as a training does, and tell what that took: `python -m bench.reader`.

A JSON line of the fields of `bench.reading.Reading`. Nothing is imported here that reading does not need.
"""

import asyncio
import json
import os
import sys
import time

from bench.memory import high_water_mb
from service.database import open_configured_database
from service.settings import Settings
from training.snapshot import take_snapshot


def main() -> int:
    """Read everything once."""
    before, started = high_water_mb(), time.perf_counter()
    interactions = asyncio.run(_read())
    seconds = time.perf_counter() - started
    said = {"interactions": interactions, "seconds": seconds, "peak_mb": high_water_mb(), "before_mb": before}
    print(json.dumps(said))
    return 0


async def _read() -> int:
    database = await open_configured_database(Settings.from_environment(os.environ))
    try:
        return len((await take_snapshot(database, int(time.time()))).log)
    finally:
        await database.close()


if __name__ == "__main__":
    sys.exit(main())
