"""What the tests run as a process of its own, to kill it or to have it compete with others.

python queue_child.py acknowledge DIRECTORY PREFIX    put for ever, print each key once it is acknowledged
python queue_child.py compete DIRECTORY KEY TIMES     wait for a line, put one key so often at once, print the outcomes
python queue_child.py open DIRECTORY                  wait for a line, open the queue and print "opened"
python queue_child.py drain DIRECTORY DATABASE        drain for ever into a SQLite file
"""

# ruff: noqa: T201 - it answers by printing

import asyncio
import itertools
import sys
from pathlib import Path

from service.storage.database import DatabaseSettings
from service.storage.draining import Drainer
from service.storage.opening import open_database
from service.storage.queue import DurableQueue, QueueSettings, open_queue
from tests.service.storage.queue_fakes import exposure, feedback

PRODUCERS = 8


async def acknowledge(queue: DurableQueue, prefix: str) -> None:
    numbers = itertools.count()

    async def produce() -> None:
        for number in numbers:
            entry = feedback(f"{prefix}-{number:06}")
            await queue.put([entry])
            print(entry.key, flush=True)
            queue.put_exposures([exposure(f"{prefix}-{number:06}")])

    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))


async def compete(queue: DurableQueue, key: str, times: str) -> None:
    wait_for_line()
    outcomes = await asyncio.gather(*(queue.put([feedback(key)]) for _ in range(int(times))))
    print(*(outcome.value for (outcome,) in outcomes), flush=True)


async def drain(queue: DurableQueue, path: str) -> None:
    database = await open_database(DatabaseSettings(path=Path(path)))
    await Drainer(queue, database, batch_rows=7, poll_seconds=0.01, gather_seconds=0.0).run()


def wait_for_line() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def main(command: str, directory: str, *arguments: str) -> None:
    if command == "open":
        wait_for_line()
    queue = await open_queue(QueueSettings(Path(directory)))
    if command == "open":
        print("opened", flush=True)
    else:
        await {"acknowledge": acknowledge, "compete": compete, "drain": drain}[command](queue, *arguments)
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
