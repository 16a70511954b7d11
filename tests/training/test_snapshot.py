import math
import os
import subprocess
import sys

import numpy as np
import pytest

from bench.servers import service_environment
from core.actions import Action
from service.storage.queries.privacy import erase_user
from service.storage.queries.recording import Feedback, insert_feedback
from service.storage.times import to_text
from tests.site import START, Site
from training.snapshot import Snapshot, take_snapshot

UNKNOWN = -1


@pytest.fixture
def site(db) -> Site:
    return Site(db)


def named_rows(snapshot: Snapshot) -> list[tuple[str, str, int, float]]:
    """The log with ids, sorted, unknown times as 0."""
    log = snapshot.log
    return sorted(
        (
            snapshot.users.id_at(user),
            snapshot.events.id_at(event),
            int(action),
            0.0 if math.isnan(time) else time,
        )
        for user, event, action, time in zip(log.users, log.events, log.actions, log.times, strict=True)
    )


def of_event(snapshot: Snapshot, event_id: str) -> int:
    return snapshot.events.index_of(event_id)


async def feedback(db, *rows: tuple[str, str, str, int | None]) -> None:
    await insert_feedback(db, [Feedback(*row) for row in rows])


async def test_saves_hides_and_feedback_are_one_log(db, site):
    await site.add_users(1, 2)
    await site.add_events(10, 20)
    await site.save(1, 10, START)
    await site.hide(2, 10, START + 1)
    await feedback(db, ("1", "20", "click", START + 2), ("3", "20", "thumbs_up", None))

    snapshot = await take_snapshot(db, START + 2)

    assert named_rows(snapshot) == [
        ("1", "10", Action.SAVE, START),
        ("1", "20", Action.CLICK, START + 2),
        ("2", "10", Action.HIDE, START + 1),
        ("3", "20", Action.THUMBS_UP, 0.0),
    ]
    assert snapshot.cutoff == START + 2


async def test_what_happened_after_the_cut_off_is_left_out(db, site):
    await site.add_users(1)
    await site.add_events(10, 20)
    await site.save(1, 10, START)
    await site.save(1, 20, START + 1)
    await site.hide(1, 20, START + 1)
    await feedback(db, ("2", "10", "click", START), ("2", "10", "click", START + 1))

    snapshot = await take_snapshot(db, START)

    assert named_rows(snapshot) == [("1", "10", Action.SAVE, START), ("2", "10", Action.CLICK, START)]


async def test_an_action_that_nobody_knows_is_marked_so_that_it_can_be_counted(db):
    await feedback(db, ("1", "10", "share", START), ("1", "10", "save", START), ("2", "10", "SAVE", START))

    snapshot = await take_snapshot(db, START)

    assert sorted(snapshot.log.actions.tolist()) == [UNKNOWN, UNKNOWN, Action.SAVE]


async def test_what_an_erased_person_did_is_left_out(db):
    await feedback(db, ("1", "10", "save", START), ("2", "10", "save", START))
    await erase_user(db, "1", START)

    snapshot = await take_snapshot(db, START + 10)

    assert list(snapshot.users) == ["2"]


async def test_events_come_with_their_city_start_and_creation(db, site):
    await site.add_events(10, 20, 30, 40)
    for event_id, city in ((10, "Dún Laoghaire"), (20, "Cork"), (30, "DUN LAOGHAIRE")):
        await site.change_event(event_id, city=city)
    await site.change_event(20, created_at=to_text(START - 100), start_time=to_text(START + 100))

    snapshot = await take_snapshot(db, START)

    city = {event_id: int(snapshot.event_city[of_event(snapshot, event_id)]) for event_id in snapshot.events}
    assert city["10"] == city["30"] != city["20"]
    assert city["40"] == -1
    assert snapshot.event_starts[of_event(snapshot, "20")] == START + 100
    assert snapshot.event_created[of_event(snapshot, "20")] == START - 100
    assert not np.isnan(snapshot.event_created).any()


async def test_an_event_that_only_feedback_knows_has_no_city_and_no_times(db, site):
    await site.add_events(10)
    await feedback(db, ("1", "99", "save", START))

    snapshot = await take_snapshot(db, START)

    assert list(snapshot.events) == ["10", "99"]
    assert snapshot.event_city.tolist() == [-1, -1]
    assert np.isnan([snapshot.event_created[1], snapshot.event_starts[1]]).all()


async def test_it_is_told_apart_what_the_site_s_own_tables_held(db, site):
    await site.add_users(1, 2)
    await site.add_events(10, 20)
    await site.save(2, 20, START)
    await site.save(2, 10, START)
    await site.hide(1, 20, START)
    await feedback(db, ("1", "10", "save", START))

    snapshot = await take_snapshot(db, START)

    def pairs(table) -> set[tuple[str, str]]:
        return {
            (snapshot.users.id_at(user), snapshot.events.id_at(event))
            for user in range(table.n_rows)
            for event in table.indices[table.indptr[user] : table.indptr[user + 1]]
        }

    assert pairs(snapshot.saved) == {("2", "10"), ("2", "20")}
    assert pairs(snapshot.hidden) == {("1", "20")}
    assert {name: sum(count for count, _ in of.values()) for name, of in snapshot.fingerprints.items()} == {
        "user_saved_events": 2,
        "user_hidden_events": 1,
    }
    assert snapshot.last_feedback_id > 0


async def test_an_empty_database_is_an_empty_snapshot(db):
    snapshot = await take_snapshot(db, START)

    assert (len(snapshot.users), len(snapshot.events), len(snapshot.log)) == (0, 0, 0)
    assert snapshot.saved.n_rows == snapshot.hidden.n_rows == snapshot.last_feedback_id == 0
    assert snapshot.event_city.dtype == np.int32


async def test_the_rows_that_come_are_told_as_they_come(db, site):
    await site.add_events(10, 20)
    await feedback(db, ("1", "10", "save", START), ("1", "20", "save", START), ("2", "20", "save", START))
    told: list[int] = []

    await take_snapshot(db, START, told.append)

    assert sum(told) == 5


async def test_what_events_are_like_and_what_people_state_is_kept_but_for_what_is_erased(db, site):
    await site.add_users(1, 2)
    await site.add_events(10, 20)
    await site.prefer(1, "preferred_genres", '["trad"]', START)
    await site.prefer(2, "preferred_genres", '["trad"]', START)
    await erase_user(db, "2", START + 1)

    snapshot = await take_snapshot(db, START + 10)

    assert snapshot.features.rows.n_rows == 2
    assert snapshot.stated.of("1")
    assert not snapshot.stated.of("2")
    assert not snapshot.stated.of_before("1", START - 1)
    assert snapshot.stated.of_before("1", START) == snapshot.stated.of("1")


async def test_events_have_features_by_numbers_and_those_that_only_feedback_names_have_none(db, site):
    await site.add_events(10, 20)
    await site.change_event(10, title="?", genres='["Trad", "Folk"]', city="Cork")
    await site.change_event(20, title="?", genres='["folk", "FOLK"]')
    await feedback(db, ("1", "30", "save", START))

    snapshot = await take_snapshot(db, START)

    numbers, rows = snapshot.features
    assert list(numbers.values()) == list(range(len(numbers)))
    assert rows.n_rows == 2 < len(snapshot.events)
    keys = list(numbers)
    first, second = (rows.indices[rows.indptr[event] : rows.indptr[event + 1]].tolist() for event in (0, 1))
    assert (first, second) == (sorted(set(first)), sorted(set(second)))
    assert {"0trad", "0folk", "5cork"} <= {keys[feature] for feature in first}
    assert [keys[feature] for feature in second if keys[feature].startswith("0")] == ["0folk"]


def test_reading_needs_no_compiled_kernels(tmp_path):
    # They take more memory than all that is read; so they come only once it has been.
    reads = "import sys, bench.reader; bench.reader.main(); print(sorted({'numba', 'llvmlite'} & set(sys.modules)))"
    environment = service_environment(tmp_path, os.environ)

    done = subprocess.run(
        [sys.executable, "-c", reads], env=environment, check=True, capture_output=True, text=True
    )

    assert done.stdout.splitlines()[1:] == ["[]"]
