import pytest

from service.storage.database import Database
from service.storage.queries.models import (
    ModelVersion,
    PredictionTotals,
    UnknownModelError,
    activate_model,
    insert_model,
    list_models,
    prediction_totals,
)
from service.storage.queries.recording import insert_predictions
from tests.service.storage.queue_fakes import exposure
from tests.site import START


def model(version: str, samples: int = 5) -> ModelVersion:
    return ModelVersion(version, "user_knn", samples, {"ndcg_at_10": 0.25}, START)


async def test_the_last_model_on_record_comes_first(db: Database) -> None:
    assert await insert_model(db, model("a"))
    assert await insert_model(db, model("b"))

    assert await list_models(db) == [model("b"), model("a")]
    assert await list_models(db, limit=1) == [model("b")]


async def test_a_version_is_put_on_record_once(db: Database) -> None:
    await insert_model(db, model("a", samples=5))

    assert not await insert_model(db, model("a", samples=6))

    assert [known.training_samples for known in await list_models(db)] == [5]


async def test_one_model_is_active_at_a_time(db: Database) -> None:
    for version in ("a", "b"):
        await insert_model(db, model(version))

    await activate_model(db, "a", START + 1)
    await activate_model(db, "b", START + 2)

    known = [(one.version, one.is_active, one.deployed_at) for one in await list_models(db)]
    assert known == [("b", True, START + 2), ("a", False, START + 1)]


async def test_going_back_to_an_earlier_model_makes_it_the_active_one(db: Database) -> None:
    for version in ("a", "b"):
        await insert_model(db, model(version))
        await activate_model(db, version, START)

    await activate_model(db, "a", START + 9)

    assert [one.version for one in await list_models(db) if one.is_active] == ["a"]


async def test_a_model_that_is_not_on_record_leaves_the_active_one_active(db: Database) -> None:
    await insert_model(db, model("a"))
    await activate_model(db, "a", START)

    with pytest.raises(UnknownModelError, match="'b'"):
        await activate_model(db, "b", START)

    assert [one.version for one in await list_models(db) if one.is_active] == ["a"]


async def test_answers_are_counted_by_model(db: Database) -> None:
    answers = [exposure(str(latency), latency_ms=latency, model_version="a") for latency in (0.5, 1.5)]
    await insert_predictions(db, answers)

    assert await prediction_totals(db, "a") == PredictionTotals(2, 1.0)
    assert await prediction_totals(db, "b") == PredictionTotals(0, None)
