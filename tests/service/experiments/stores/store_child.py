"""What the tests run as a process of its own, to have it compete with another for one store.

python store_child.py claim PLACE VARIANT TIMES        wait for a line, claim one person so often at once
python store_child.py add PLACE DIRECTORY VARIANT TIMES wait for a line, count so often through a queue, ship all
"""

# ruff: noqa: T201 - it answers by printing

import asyncio
import sys
from pathlib import Path

from service.experiments.increments import Increment
from service.experiments.shipping import Shipper
from service.experiments.stores import ExperimentStore
from service.storage.queue import QueueSettings, open_queue
from tests.service.experiments.stores.opening import Place, opened

PEOPLE = 25
#: How much is counted between two shipments.
ROUND = 5_000


def wait_for_line() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


async def claim(store: ExperimentStore, variant: str, times: str) -> None:
    wait_for_line()
    held = await asyncio.gather(*(store.claim("exp", "1", variant, 1, 1.0) for _ in range(int(times))))
    print(*held, flush=True)


async def add(store: ExperimentStore, directory: str, variant: str, times: str) -> None:
    queue = await open_queue(QueueSettings(Path(directory)))
    shipper = Shipper(queue, store)
    wait_for_line()
    for start in range(0, int(times), ROUND):
        numbers = range(start, start + ROUND)
        await queue.settle_counted(0, [_increment(number, variant) for number in numbers])
        while await shipper.ship_once():
            pass
    print("done", flush=True)
    await queue.close()


def _increment(number: int, variant: str) -> Increment:
    return Increment("exp", f"person{number % PEOPLE}", variant, 1, 10.0, 20.0, shown={variant: 1}, clicks=1)


async def main(command: str, place: str, *arguments: str) -> None:
    async with opened(Place.from_text(place)) as store:
        await {"claim": claim, "add": add}[command](store, *arguments)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
