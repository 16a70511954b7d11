from pathlib import Path

import msgspec
import pytest

from service.experiments.assignment import NO_CHOICE
from service.experiments.definition import Experiment, Variant, default_experiment
from service.experiments.live import LiveExperiments
from service.experiments.revisions import Revision, changed, created, moved_to
from service.experiments.sticky import Sticky
from tests.integration.running import eventually
from tests.service.experiments.fakes import FakeStore

ARMS = ("control", "collaborative_filtering", "content_based", "hybrid")
DEFAULT = default_experiment("rec", "control")
EXPERIMENT = Experiment(
    experiment_id="exp",
    name="",
    variants=(Variant("control", 1.0, "control"), Variant("hybrid", 1.0, "hybrid")),
)
#: All of the first variant's buckets have moved to the second.
RUNNING = moved_to(created(EXPERIMENT, ARMS, 1.0), "running", ARMS, 2.0)
MOVED = changed(
    RUNNING,
    msgspec.structs.replace(
        RUNNING.experiment, variants=(Variant("control", 0.0, "control"), Variant("hybrid", 1.0, "hybrid"))
    ),
    ARMS,
    3.0,
    delay=10.0,
)
PEOPLE = [str(number) for number in range(50)]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def live_experiments(
    store: FakeStore, folder: Path, arms: tuple[str, ...] = ARMS, now: float = 100.0
) -> LiveExperiments:
    sticky = Sticky(store, patience_seconds=0.02, rest_seconds=3_600.0)
    return LiveExperiments(store, folder / "experiments.json", DEFAULT, arms, lambda: now, sticky)


def moved_people(live: LiveExperiments) -> list[str]:
    return [user_id for user_id in PEOPLE if live.choose_at_once(user_id, 100.0) is None]


async def test_the_standing_experiment_is_made_once(store: FakeStore, tmp_path: Path):
    live = live_experiments(store, tmp_path)
    await live.refresh()
    await live.refresh()
    assert [one.experiment_id for one in store.kept] == ["rec"]


async def test_guests_are_in_no_experiment(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING]
    live = live_experiments(store, tmp_path)
    await live.refresh()
    assert live.choose_at_once(None, 100.0) is NO_CHOICE


async def test_nobody_whose_bucket_never_moved_is_looked_up(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING]
    live = live_experiments(store, tmp_path)
    await live.refresh()
    calls = store.calls
    assert all(live.choose_at_once(user_id, 100.0) is not None for user_id in PEOPLE)
    assert store.calls == calls


async def test_a_new_map_is_in_force_from_its_time_on(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING, MOVED]
    live = live_experiments(store, tmp_path, now=5.0)
    await live.refresh()
    variants = {choice.variant for user_id in PEOPLE if (choice := live.choose_at_once(user_id, 12.9))}
    assert variants == {"control", "hybrid"}
    assert any(live.choose_at_once(user_id, 13.0) is None for user_id in PEOPLE)


async def test_someone_whose_bucket_has_moved_keeps_what_they_had_and_is_looked_up_once(
    store: FakeStore, tmp_path: Path
):
    store.kept = [RUNNING, MOVED]
    live = live_experiments(store, tmp_path)
    await live.refresh()
    returning, fresh = moved_people(live)[:2]
    store.held["exp", returning] = "control"
    calls = store.calls
    for _ in range(3):
        assert (await live.choose(returning, 100.0)).variant == "control"
        assert (await live.choose(fresh, 100.0)).variant == "hybrid"
    assert store.calls == calls + 2


async def test_two_processes_agree_on_whom_the_first_of_them_claimed(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING, MOVED]
    one, other = live_experiments(store, tmp_path), live_experiments(store, tmp_path)
    await one.refresh()
    await other.refresh()
    [user_id, *_] = moved_people(one)
    store.held["exp", user_id] = "control"
    assert (
        (await one.choose(user_id, 100.0)).variant
        == (await other.choose(user_id, 100.0)).variant
        == "control"
    )


@pytest.mark.parametrize("trouble", ["is_away", "hangs"])
async def test_a_store_that_does_not_answer_costs_one_request_its_patience_and_then_rests(
    store: FakeStore, tmp_path: Path, trouble: str
):
    store.kept = [RUNNING, MOVED]
    live = live_experiments(store, tmp_path)
    await live.refresh()
    people = moved_people(live)
    calls = store.calls
    setattr(store, trouble, True)
    assert {(await live.choose(user_id, 100.0)).variant for user_id in people} == {"hybrid"}
    assert store.calls == calls + 1


async def test_a_start_without_the_store_goes_on_with_what_was_known_last(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING]
    before = live_experiments(store, tmp_path)
    async with before.running():
        chosen = [before.choose_at_once(user_id, 100.0) for user_id in PEOPLE]
    store.is_away = True
    after = live_experiments(store, tmp_path)
    async with after.running():
        assert [after.choose_at_once(user_id, 100.0) for user_id in PEOPLE] == chosen
        store.is_away = False
        store.kept.append(moved_to(RUNNING, "paused", ARMS, 50.0))
        await eventually(lambda: after.choose_at_once("1", 100.0) is NO_CHOICE)


async def test_a_file_that_cannot_be_read_is_as_none(store: FakeStore, tmp_path: Path):
    (tmp_path / "experiments.json").write_text("[{")
    store.is_away = True
    live = live_experiments(store, tmp_path)
    async with live.running():
        assert live.choose_at_once("1", 100.0) is NO_CHOICE


async def test_an_experiment_whose_arm_this_release_lacks_does_not_run(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING]
    live = live_experiments(store, tmp_path, arms=("control",))
    await live.refresh()
    assert live.choose_at_once("1", 100.0) is NO_CHOICE


async def test_a_change_of_this_process_is_seen_without_waiting(store: FakeStore, tmp_path: Path):
    store.kept = [RUNNING]
    store.poll_seconds = 3_600.0
    live = live_experiments(store, tmp_path)
    async with live.running():
        store.kept.append(moved_to(RUNNING, "paused", ARMS, 50.0))
        live.look_now()
        await eventually(lambda: live.choose_at_once("1", 100.0) is NO_CHOICE)


def test_versions_are_kept_on_disk_as_they_are(tmp_path: Path):
    text = msgspec.json.encode([RUNNING, MOVED])
    assert msgspec.json.decode(text, type=list[Revision]) == [RUNNING, MOVED]
