"""One request for recommendations, from what was asked to the bytes of the answer.

Three steps: `find` (profile, candidates), `rank` (scores and ranking, reasons and their bytes), `complete` (the rest of
the answer). There is no database and no network on this way; everything comes from one reference to the live state.
Requests that arrive together take each step together (`service.routes.recommendations`).
"""

from time import perf_counter
from typing import NamedTuple

from msgspec import Struct

from core.arranging import AS_RANKED, Arrangement, Facts, arrange, groups_of, soonness
from core.kernels.workspace import MOST_ANSWERS
from core.recommender import Ranking
from core.tastes import Kind
from service.errors import BadRequestError
from service.live.catalogue import Candidates
from service.live.filters import NO_LIMITS, Limits
from service.live.state import LiveState
from service.live.statements import Stated
from service.recommending.arms import ARMS, Asker, asker_for
from service.recommending.encoding import Encoded, Encoder, Envelope, Told, encode_answer
from service.settings import Settings


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
    limits: Limits = NO_LIMITS
    offset: int = 0
    liked_event_ids: tuple[str, ...] = ()  #: in this session, beside what is known of the person
    statements: tuple[Stated, ...] = ()  #: what the caller says of their taste
    arrangement: Arrangement = AS_RANKED

    @property
    def algorithm(self) -> str:
        """The name of the arm that makes the answer."""
        return self.arm or self.variant


class Found(NamedTuple):
    """What memory has for a question."""

    asker: Asker
    candidates: Candidates
    city: str | None  #: where the candidates are
    notice: str | None  #: why that is not where it was asked for


class Ranked(NamedTuple):
    """What is recommended."""

    encoded: Encoded
    n: int
    n_personal: int


class Reply(Struct, frozen=True):
    """What was answered."""

    recommendation_id: str
    pieces: tuple[bytes, ...]  #: the body, in pieces, since whoever sends it puts something before it
    event_ids: bytes  #: in the order shown, a JSON list
    n: int
    n_personal: int
    latency_ms: float
    n_liked: int  #: events of the profile

    @property
    def body(self) -> bytes:
        """The answer as JSON."""
        return b"".join(self.pieces)


def answer_question(
    state: LiveState, encoder: Encoder, question: Question, recommendation_id: str, now: float, started: float
) -> Reply:
    """Answer from `state` at `now` (unix seconds); `started` is the perf_counter reading of the request's start."""
    found = find(state, question, now)
    ranked = rank(state, encoder, question, found, now)
    return complete(state, question, found, ranked, recommendation_id, started)


def find(state: LiveState, question: Question, now: float) -> Found:
    """The first step: who asks, and what there is to choose from."""
    profile = state.profile(question.user_id, question.exclude_event_ids, question.liked_event_ids)
    candidates, city, notice = find_candidates(state, question.city, question.limits, now)
    asker = asker_for(state, question.algorithm, question.user_id, profile, question.statements)
    return Found(asker, candidates, city, notice)


def rank(state: LiveState, encoder: Encoder, question: Question, found: Found, now: float) -> Ranked:
    """The second step, in which nearly all is the kernels' work: the ranking with its reasons, and their text."""
    offset = question.offset
    n = min(offset + question.limit, MOST_ANSWERS)
    algorithm, is_arranged = question.algorithm, question.arrangement != AS_RANKED
    ranking = ARMS[algorithm](state, found.asker, found.candidates, MOST_ANSWERS if is_arranged else n)
    if is_arranged:
        ranking = _arranged(state, ranking, question.arrangement, n, now)
    told = Told(algorithm, found.asker.profile.events, found.city)
    encoded = encoder.encode(ranking, told, state.telling, offset)
    return Ranked(encoded, max(0, ranking.n - offset), max(0, ranking.n_personal - offset))


def complete(
    state: LiveState, question: Question, found: Found, ranked: Ranked, recommendation_id: str, started: float
) -> Reply:
    """The last step: all that an answer says beside its recommendations."""
    envelope = Envelope(
        recommendation_id,
        question.user_id,
        state.version,
        question.variant,
        question.experiment,
        found.notice,
    )
    encoded, latency_ms = ranked.encoded, (perf_counter() - started) * 1000.0
    pieces = encode_answer(envelope, encoded.items, latency_ms)
    n_liked = found.asker.profile.events.size
    return Reply(
        recommendation_id, pieces, encoded.event_ids, ranked.n, ranked.n_personal, latency_ms, n_liked
    )


def usual_arrangement(settings: Settings) -> Arrangement:
    """What is wanted of an answer where nobody says anything."""
    return Arrangement(
        settings.soon_weight, settings.popularity_weight, settings.max_per_venue, settings.max_per_series
    )


def variant_named(asked: str) -> str:
    """The variant, when it is the name of an arm; else raises BadRequestError."""
    if asked not in ARMS:
        raise BadRequestError(f"variant: expected one of {', '.join(ARMS)}, got {asked[:100]!r}")
    return asked


def _arranged(state: LiveState, ranking: Ranking, wanted: Arrangement, n: int, now: float) -> Ranking:
    """The best n of the longest ranking there is, as they are wanted."""
    events = ranking.answer.events[: ranking.n]
    facts = Facts(
        soonness(state.catalogue.starts[events], now),
        state.recommender.popularity[events],
        groups_of(state.content, events, Kind.VENUE),
        groups_of(state.content, events, Kind.SERIES),
    )
    return arrange(ranking, wanted, facts, n)


def find_candidates(
    state: LiveState, city: str | None, limits: Limits, now: float
) -> tuple[Candidates, str | None, str | None]:
    """The open events within the limits, the city they are in, and a notice when that is not the one asked for.

    Nothing on in a city, or a city nobody has heard of, is no reason for an empty page. Limits are never broken.
    """
    candidates = state.catalogue.candidates(city, now, limits)
    if candidates.n_events:
        return candidates, city, None
    elsewhere = state.catalogue.candidates(None, now, limits) if city else candidates
    if not elsewhere.n_events:
        return elsewhere, None, "No events are listed." if limits == NO_LIMITS else "No event fits that."
    return elsewhere, None, f"Nothing is listed in {city}; these are events elsewhere."
