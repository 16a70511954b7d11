"""Trying a model out before it serves anyone."""

from collections.abc import Callable

import orjson

from core.sparse import no_pairs, rows_of
from core.vocabulary import Vocabulary
from service.live.state import LiveState
from service.pacing import no_rest
from service.recommending.arms import ARMS
from service.recommending.asking import Question, answer_question
from service.recommending.encoding import Encoder


class TrialFailedError(Exception):
    """A model that was verified does not answer as it should."""


def try_out(state: LiveState, now: float, rest: Callable[[], None] = no_rest) -> None:
    """Let every arm answer for somebody and for a stranger; also loads or compiles the kernels.

    Those of a reload too: what is loaded later brings back the compiler, whose memory a start gives away. Kernels
    keep the interpreter while they compute. `rest` is called after each answer.
    Raises TrialFailedError when an answer is no JSON or its scores do not descend within 0…1.
    """
    somebody = state.model.users.id_at(0) if len(state.model.users) else None
    encoder = Encoder()
    for variant in ARMS:
        for user_id in (somebody, None):
            reply = answer_question(state, encoder, Question(user_id, None, 20, variant), "trial", now, 0.0)
            _check(variant, reply.body)
            rest()
    nobody = no_pairs(0)
    rows_of(nobody, nobody.indices)
    state.model.events.indices_in(Vocabulary.from_ids([""]), rest)


def _check(variant: str, body: bytes) -> None:
    try:
        scores = [item["score"] for item in orjson.loads(body)["recommendations"]]
    except orjson.JSONDecodeError as error:
        raise TrialFailedError(f"{variant} answers with something else than JSON: {error}") from error
    if scores != sorted(scores, reverse=True) or not all(0.0 <= score <= 1.0 for score in scores):
        raise TrialFailedError(f"{variant} answers with scores {scores}")
