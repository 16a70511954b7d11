"""One request for recommendations, from what was asked to the bytes of the answer.

Read from top to bottom: profile → candidates → scores and ranking → reasons and bytes. There is no database and no
network on this way; everything comes from one reference to the live state.
"""

from time import perf_counter

from msgspec import Struct

from core.content import NO_TASTE
from service.live.catalogue import Candidates
from service.live.state import LiveState
from service.recommending.arms import ARMS, Asker
from service.recommending.encoding import Encoder, Envelope, Told, encode_answer


class Question(Struct, frozen=True):
    """What was asked, checked and completed.

    `arm` makes the answer; None when it is called as the variant is. `experiment` is what the answer says of one, JSON.
    """

    user_id: str | None
    city: str | None
    limit: int
    variant: str
    exclude_event_ids: tuple[str, ...] = ()
    arm: str | None = None
    experiment: bytes = b"null"


class Reply(Struct, frozen=True):
    """What was answered."""

    recommendation_id: str
    body: bytes
    events: list[int]  #: indices, in the order shown
    n_personal: int
    latency_ms: float
    n_liked: int  #: events of the profile


def answer_question(
    state: LiveState, encoder: Encoder, question: Question, recommendation_id: str, now: float, started: float
) -> Reply:
    """Answer from `state` at `now` (unix seconds); `started` is the perf_counter reading of the request's start."""
    profile = state.profile(question.user_id, question.exclude_event_ids)
    candidates, city, notice = _candidates(state, question.city, now)
    arm = question.arm or question.variant
    ranking = ARMS[arm](state, Asker(profile, NO_TASTE), candidates, question.limit)
    told = Told(arm, profile.events, city)
    items = encoder.items(ranking, told, state.catalogue.cards, state.labels, state.live.event_masses)
    envelope = Envelope(
        recommendation_id, question.user_id, state.version, question.variant, question.experiment, notice
    )
    latency_ms = (perf_counter() - started) * 1000.0
    body = encode_answer(envelope, items, latency_ms)
    return Reply(recommendation_id, body, ranking.events, ranking.n_personal, latency_ms, profile.events.size)


def _candidates(state: LiveState, city: str | None, now: float) -> tuple[Candidates, str | None, str | None]:
    """The open events, the city they are in, and a notice when that is not the one asked for.

    Nothing on in a city, or a city nobody has heard of, is no reason for an empty page.
    """
    candidates = state.catalogue.candidates(city, now)
    if candidates.n_events:
        return candidates, city, None
    elsewhere = state.catalogue.candidates(None, now)
    if not elsewhere.n_events:
        return elsewhere, None, "No events are listed."
    return elsewhere, None, f"Nothing is listed in {city}; these are events elsewhere."
