"""A store that is slow or away costs few requests their patience, and is asked again."""

import asyncio

from service.experiments.assignment import Assigner
from service.experiments.sticky import Sticky
from tests.service.experiments.fakes import FakeStore
from tests.service.experiments.test_live import MOVED, PEOPLE

DRAWS = {user_id: Assigner([MOVED]).draw(user_id, 100.0)[0] for user_id in PEOPLE}
UNSURE = [user_id for user_id, draw in DRAWS.items() if draw.is_unsure]


async def settle(sticky: Sticky, *people: str) -> None:
    await asyncio.gather(*(sticky.settle(DRAWS[user_id], user_id, 100.0) for user_id in people))


async def test_after_its_rest_a_store_that_hung_is_asked_for_one_person_at_a_time():
    store = FakeStore()
    sticky = Sticky(store, patience_seconds=0.05, rest_seconds=0.05)
    store.hangs = True
    await settle(sticky, *UNSURE[:4])
    assert store.calls == 4, "nobody could know"
    await asyncio.sleep(0.06)
    await settle(sticky, *UNSURE[:4])
    assert store.calls == 5
    store.hangs = False
    await asyncio.sleep(0.06)
    await settle(sticky, UNSURE[0])
    await settle(sticky, *UNSURE[1:4])
    assert store.calls == 9, "it works again, so everyone is asked for"
    assert set(store.held) == {("exp", user_id) for user_id in UNSURE[:4]}


async def test_someone_who_leaves_while_the_store_is_tried_stops_nobody_from_trying_it():
    store = FakeStore()
    sticky = Sticky(store, patience_seconds=5.0, rest_seconds=0.0)
    store.is_away = True
    await settle(sticky, UNSURE[0])
    store.is_away, store.hangs = False, True
    asking = asyncio.create_task(settle(sticky, UNSURE[0]))
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait([asking])
    store.hangs = False
    await settle(sticky, UNSURE[1])
    assert ("exp", UNSURE[1]) in store.held
