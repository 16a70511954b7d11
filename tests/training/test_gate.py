"""What is published and what is not: every refusal through a whole training."""

from datetime import UTC, datetime

import numpy as np
import pytest

from core.bundle import MANIFEST
from core.collaborative import CollaborativeSettings
from core.model import ModelSettings
from service.models import ModelRegistry
from service.refusals import read_refusals
from service.storage.database import Database
from service.storage.dialect import Statement
from tests.sites import NOW
from training import gate, measuring, pipeline
from training.pipeline import TrainingRefusedError, TrainingReport, train
from training.ranking import ARMS

AT = datetime.fromtimestamp(NOW, UTC)
GOOD = ModelSettings()
#: One neighbour each, who is liked for being active, sees far less than a hundred.
BAD = ModelSettings(collaborative=CollaborativeSettings(neighbours=1, activity=0.0, popularity_discount=1.0))


@pytest.fixture
async def registry(tmp_path, database) -> ModelRegistry:
    """One model, trained on all of it with the settings that come with the program."""
    registry = ModelRegistry(tmp_path / "models")
    await run(database, registry)
    return registry


async def run(
    database: Database, registry: ModelRegistry, settings: ModelSettings = GOOD, **options
) -> TrainingReport:
    return await train(database, registry, settings, AT, 100, **options)


async def refused(database: Database, registry: ModelRegistry, settings: ModelSettings = GOOD) -> list[str]:
    """The reasons for which a training publishes nothing."""
    before = registry.current(), registry.versions()
    with pytest.raises(TrainingRefusedError) as error:
        await run(database, registry, settings)
    assert (registry.current(), registry.versions()) == before
    [refusal] = read_refusals(registry.directory)
    assert str(error.value) == "; ".join(refusal.reasons)
    return refusal.reasons


async def test_the_live_model_is_judged_beside_the_new_one_on_the_same_people(database, registry):
    report = await run(database, registry, BAD, force=True)

    live = report.validation.live
    assert report.validation.people == live.arms["control"].users > 20
    assert live.arms["control"] == report.validation.arms["control"]
    assert live.differences["control"] == (0.0, (0.0, 0.0))
    lost = report.validation.arms["collaborative_filtering"].ndcg - live.arms["collaborative_filtering"].ndcg
    assert live.differences["collaborative_filtering"].mean == pytest.approx(lost)
    low, high = live.differences["collaborative_filtering"].interval
    assert low < lost < high < 0


async def test_with_the_same_settings_the_live_model_s_figures_are_the_new_one_s(database, registry):
    report = await run(database, registry)

    assert report.validation.live.same_settings
    assert report.validation.live.arms == report.validation.arms
    assert all(mean == 0 for mean, _ in report.validation.live.differences.values())


async def test_a_model_worse_than_the_live_one_beyond_the_interval_is_refused(database, registry):
    reason, *_ = await refused(database, registry, BAD)

    assert "collaborative_filtering is worse than with the settings of the live model: NDCG@10 0." in reason
    [refusal] = read_refusals(registry.directory)
    assert refusal.settings == BAD.as_dict()
    assert refusal.validation["live"]["ndcg_differences"]["collaborative_filtering"]["high"] < 0


async def test_a_model_better_than_the_live_one_is_published(database, tmp_path):
    registry = ModelRegistry(tmp_path / "models")
    await run(database, registry, BAD)

    assert (await run(database, registry, GOOD)).version == registry.current()


async def test_an_arm_that_few_get_may_cost_a_little_and_not_more(database, registry, monkeypatch):
    monkeypatch.setattr(gate, "OTHERS_MAY_LOSE", 1.0)
    await run(database, registry, BAD, headline="control")

    monkeypatch.setattr(gate, "OTHERS_MAY_LOSE", 0.1)
    registry.roll_back()
    with pytest.raises(TrainingRefusedError, match="collaborative_filtering is worse"):
        await run(database, registry, BAD, headline="control")


async def test_forced_a_worse_model_is_published_and_its_manifest_says_so(database, registry):
    before = registry.current()

    report = await run(database, registry, BAD, force=True)

    assert registry.current() == report.version != before
    told = registry.facts(report.version)["gate"]
    assert (told["compared_with"], told["forced"]) == (before, True)
    assert [one.split()[0] for one in told["overruled"]] == ["collaborative_filtering", "hybrid"]
    assert registry.facts(before)["gate"] == {"compared_with": None, "forced": False, "overruled": []}


@pytest.mark.parametrize("arm", ["collaborative_filtering", "control"])
async def test_an_arm_that_ranks_nothing_for_anybody_is_refused(database, registry, monkeypatch, arm):
    monkeypatch.setattr(measuring, "ARMS", {**ARMS, arm: _nothing})

    reasons = await refused(database, registry)

    assert f"{arm} ranks nothing for any of " in reasons[0]


async def test_an_arm_with_nothing_to_go_by_keeps_no_model_away(database, registry, monkeypatch):
    monkeypatch.setattr(measuring, "ARMS", {**ARMS, "by_moonlight": _nothing})

    report = await run(database, registry)

    assert report.validation.arms["by_moonlight"].coverage == 0


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("CAST(SUBSTR(user_id, 5) AS INTEGER) >= 25", "only 25 of the 60 people of model"),
        ("CAST(SUBSTR(event_id, 6) AS INTEGER) >= 14", "only 14 of the 30 events of model"),
        ("action = 'save' AND id % 5 > 1", "of the 360 likes of model"),
    ],
)
async def test_data_that_went_missing_are_refused(database, registry, condition, told):
    await database.execute(Statement(f"DELETE FROM ml_feedback WHERE {condition}"))  # noqa: S608

    reasons = await refused(database, registry)

    assert any(told in reason for reason in reasons)


async def test_people_who_are_all_new_are_a_vocabulary_that_collapsed(database, registry):
    await database.execute(Statement("UPDATE ml_feedback SET user_id = SUBSTR(user_id, 3)"))

    assert (await refused(database, registry))[0] == (
        f"only 0 of the 60 people of model {registry.current()} are left"
    )


async def test_numbers_that_are_not_finite_are_refused_even_when_forced(database, registry, monkeypatch):
    def fit_badly(*arguments):
        model, rows = fit_model(*arguments)
        model.popularity[3] = np.nan
        return model, rows

    fit_model = pipeline.fit_model
    monkeypatch.setattr(pipeline, "fit_model", fit_badly)

    assert await refused(database, registry) == ["popularity holds NaN or infinity"]
    with pytest.raises(TrainingRefusedError):
        await run(database, registry, force=True)


async def test_too_little_data_is_noted_with_what_there_was(database, registry):
    with pytest.raises(TrainingRefusedError):
        await train(database, registry, GOOD, AT, 421)

    [refusal] = read_refusals(registry.directory)
    assert (refusal.training_samples, refusal.validation) == (420, None)
    assert refusal.refused_at == float(NOW)


async def test_a_live_model_that_cannot_be_read_keeps_no_good_one_away(database, registry, caplog):
    (registry.path(registry.current()) / MANIFEST).write_text("{}")

    report = await run(database, registry, BAD)

    assert registry.current() == report.version
    assert "the published model cannot be compared with" in caplog.text


async def test_too_few_people_prove_nothing(database, registry, monkeypatch):
    monkeypatch.setattr(gate, "LEAST_JUDGES", 61)

    assert (await run(database, registry, BAD)).version == registry.current()


async def test_the_latest_refusals_are_kept_and_a_damaged_file_of_them_harms_nobody(
    database, registry, monkeypatch
):
    monkeypatch.setattr("service.refusals._REMEMBERED", 2)
    for samples in (1_001, 1_002, 1_003):
        with pytest.raises(TrainingRefusedError):
            await train(database, registry, GOOD, AT, samples)

    asked_for = [refusal.reasons[0].split()[-1] for refusal in read_refusals(registry.directory)]
    assert asked_for == ["1003", "1002"]
    (registry.directory / "refused.json").write_text("[{}]")
    assert read_refusals(registry.directory) == []


def _nothing(model, users, open_events, n, known):
    return np.full((users.size, n), -1, np.int32)
