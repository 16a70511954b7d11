"""What a right answer to the load is: 20 recommendations, best first, with reasons that add up."""

from typing import Any

import orjson

LIMIT = 20
#: Scores are printed to 8 decimals, and so are the parts that add up to them.
_ROUNDING = 2e-8


class WrongAnswerError(Exception):
    """An answer that no throughput makes up for; the message says what is wrong with it."""


def check_answer(body: bytes) -> None:
    """Raise WrongAnswerError unless a body holds 20 recommendations, best first, each with reasons that add up."""
    items = orjson.loads(body)["recommendations"]
    if len(items) != LIMIT:
        raise WrongAnswerError(f"{len(items)} recommendations instead of {LIMIT}")
    scores = [item["score"] for item in items]
    if scores != sorted(scores, reverse=True):
        raise WrongAnswerError(f"scores that do not descend: {scores}")
    for item in items:
        _check_reasons(item)


def _check_reasons(item: dict[str, Any]) -> None:
    """The reasons add up to the score, and the person's own events to what it has from people with the same taste.

    That is all of it for an arm that knows nothing else, and a part for a blend.
    """
    reasons = item["rank_reasons"]
    because = [*item["because"], *([item["because_other"]] if item["because_other"] else [])]
    if item["algorithm"] == "collaborative_filtering" and not because:
        raise WrongAnswerError(f"no reason for event {item['event_id']}")
    shared = [reason for reason in reasons if reason["type"] == "collaborative"]
    of_events = _total(shared) if shared else item["score"]
    for parts, whole in ((reasons, item["score"]), (because, of_events)):
        if parts and abs(_total(parts) - whole) > _ROUNDING:
            raise WrongAnswerError(
                f"reasons that add up to {_total(parts)} instead of {whole}: {item['event_id']}"
            )


def _total(parts: list[dict[str, Any]]) -> float:
    return float(sum(part["weight"] for part in parts))
