"""What the load has to get for an answer."""

import json
from typing import Any

import pytest

from bench.answers import LIMIT, WrongAnswerError, check_answer


def personal(score: float, **changes: Any) -> dict[str, Any]:
    """A recommendation of the neighbourhood's whose reasons add up."""
    return {
        "event_id": "7",
        "score": score,
        "algorithm": "collaborative_filtering",
        "rank_reasons": [{"type": "collaborative", "weight": score}],
        "because": [{"event_id": "1", "weight": score / 2}, {"event_id": "2", "weight": score / 4}],
        "because_other": {"events": 3, "weight": score / 4},
    } | changes


def popular(score: float) -> dict[str, Any]:
    """A recommendation from the popularity list."""
    return {
        "event_id": "8",
        "score": score,
        "algorithm": "popularity",
        "rank_reasons": [{"type": "popularity", "weight": score}],
        "because": [],
        "because_other": None,
    }


def body_of(items: list[dict[str, Any]]) -> bytes:
    return json.dumps({"recommendations": items}).encode()


def test_an_answer_of_both_algorithms_with_reasons_that_add_up_is_right() -> None:
    items = [personal(0.5 - rank / 100) for rank in range(LIMIT - 1)] + [popular(0.01)]
    check_answer(body_of(items))


def test_a_short_answer_is_wrong() -> None:
    with pytest.raises(WrongAnswerError, match="19 recommendations instead of 20"):
        check_answer(body_of([popular(0.5)] * 19))


def test_an_answer_that_is_not_in_order_is_wrong() -> None:
    with pytest.raises(WrongAnswerError, match="do not descend"):
        check_answer(body_of([popular(0.4), *[popular(0.5)] * 19]))


@pytest.mark.parametrize(
    "changes",
    [
        {"because_other": None},
        {"because_other": {"events": 3, "weight": 0.126}},
        {"rank_reasons": [{"type": "collaborative", "weight": 0.4}]},
    ],
)
def test_an_answer_whose_reasons_do_not_add_up_to_the_score_is_wrong(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongAnswerError, match="reasons that add up to"):
        check_answer(body_of([personal(0.5, **changes)] * LIMIT))


def test_a_personal_recommendation_without_a_reason_is_wrong() -> None:
    with pytest.raises(WrongAnswerError, match="no reason for event 7"):
        check_answer(body_of([personal(0.5, because=[], because_other=None)] * LIMIT))


def test_the_events_of_a_blend_answer_for_what_it_has_from_people_with_the_same_taste() -> None:
    reasons = [{"type": "collaborative", "weight": 0.5}, {"type": "popularity", "weight": 0.25}]
    blended = personal(0.5, algorithm="hybrid", rank_reasons=reasons) | {"score": 0.75}
    check_answer(body_of([blended] * LIMIT))
    with pytest.raises(WrongAnswerError, match=r"instead of 0\.5"):
        check_answer(body_of([blended | {"because_other": {"events": 3, "weight": 0.375}}] * LIMIT))
