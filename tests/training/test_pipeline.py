from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.model import ModelSettings
from service.models import ModelRegistry
from service.storage.database import Database
from service.storage.migrate import migrate
from service.storage.opening import open_database
from service.storage.queries.recording import Feedback, insert_feedback
from tests.sites import NOW
from tests.training.planted import planted_rows
from training import pipeline
from training.pipeline import TrainingRefusedError, train
from training.ranking import ARMS

AT = datetime.fromtimestamp(NOW, UTC)
VERSION = "20270115T080000Z"


@pytest.fixture
def registry(tmp_path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


async def run(database: Database, registry: ModelRegistry, **changes):
    values = {"settings": ModelSettings(), "now": AT, "min_samples": 100, **changes}
    return await train(database, registry, **values)


async def test_a_training_publishes_a_model_of_everything(database, registry):
    report = await run(database, registry)

    assert report.version == registry.current() == VERSION
    model, facts = registry.load()
    assert (len(model.users), len(model.events)) == (60, 30)
    assert model.sketch is not None
    assert report.training_samples == facts["training_samples"] == len(planted_rows())
    assert report.training_duration_seconds > 0
    assert report.validation_metrics == facts["validation_metrics"]
    assert facts["validation_metrics"]["ndcg_at_10"] > 0


async def test_the_manifest_tells_how_the_model_came_about(database, registry):
    await run(database, registry)

    _, facts = registry.load()
    assert facts["cutoff"] == facts["trained_at"] == float(NOW)
    assert ModelSettings.from_dict(facts["settings"]) == ModelSettings()
    assert facts["counts"]["users"] == 60
    assert facts["counts"]["liked"] == 360
    assert facts["validation"]["method"] == "time"
    assert set(facts["validation"]["arms"]) == set(facts["validation"]["intervals"]) == set(ARMS)
    assert facts["last_feedback_id"] == len(planted_rows())


async def test_the_same_data_and_seed_give_the_same_model_bit_for_bit(database, registry):
    first = await run(database, registry, seed=7)
    second = await run(database, registry, seed=7)

    assert second.version == f"{VERSION}-2"
    one, other = (registry.load(report.version)[0].arrays() for report in (first, second))
    assert {name: array.tobytes() for name, array in one.items()} == {
        name: array.tobytes() for name, array in other.items()
    }
    assert first.validation == replace(second.validation, live=None)


async def test_too_few_interactions_are_refused_and_the_old_model_stays(database, registry):
    await run(database, registry)

    with pytest.raises(
        TrainingRefusedError, match="420 usable interactions, and MIN_TRAINING_SAMPLES asks for 421"
    ):
        await run(database, registry, min_samples=421)

    assert registry.versions() == [registry.current()] == [VERSION]


async def test_actions_that_nobody_knows_do_not_count_as_samples(database, registry):
    await insert_feedback(database, [Feedback("user1", f"event{n}", "share", NOW) for n in range(5)])

    report = await run(database, registry, min_samples=420)

    assert (report.rows.unknown_action, report.rows.rows, report.training_samples) == (5, 425, 420)


async def test_what_happens_after_the_cut_off_is_not_learned(database, registry):
    await insert_feedback(database, [Feedback("late", "event1", "save", NOW + 1)])

    await run(database, registry)

    assert registry.load()[0].users.index_of("late") == -1


@pytest.mark.parametrize("step", ["fit_model", "validate", "write_bundle"])
async def test_a_failure_at_any_step_leaves_the_old_model_serving(database, registry, monkeypatch, step):
    await run(database, registry)

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, step, fail)
    with pytest.raises(OSError, match="No space left"):
        await run(database, registry)

    assert registry.versions() == [registry.current()] == [VERSION]
    assert registry.load()[0].version == VERSION


async def test_a_failure_to_publish_leaves_the_old_model_serving(database, registry, monkeypatch):
    await run(database, registry)

    def fail(self, version):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(ModelRegistry, "publish", fail)
    with pytest.raises(OSError, match="Input/output"):
        await run(database, registry)

    assert registry.current() == VERSION


async def test_each_step_is_told_before_it_begins(database, registry):
    told: list[str] = []

    await run(database, registry, progress=told.append)

    assert told == ["reading interactions", "fitting 420 interactions", "validating", f"publishing {VERSION}"]


async def test_data_that_nobody_can_be_judged_by_still_make_a_model(file_settings, registry):
    database = await open_database(file_settings)
    await migrate(database)
    await insert_feedback(
        database, [Feedback("ann", "gig", "save", NOW), Feedback("bob", "gig", "save", NOW)]
    )

    report = await run(database, registry, min_samples=1)
    await database.close()

    assert report.validation is None
    assert report.validation_metrics == {}
    assert registry.load()[1]["validation"] is None
