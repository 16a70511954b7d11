"""From a ranking to the bytes of an answer.

An answer is mostly text that never changes: what it says about each event is encoded once (`service.live.event`). What
is left is a dozen numbers an event, so a kernel puts the bytes together, without a Python object for any of them.
`service.answers.RecommendationAnswer` is the type these bytes decode to; a test holds the two together, and the
kernel to a twin that uses a JSON library.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from core.kernels.jit import inlined, kernel
from core.kernels.text import put_decimal, put_text, put_whole
from core.kernels.workspace import REASONS
from core.recommender import Ranking
from service.live.cards import ID, MEMBERS, TITLE, Cards
from service.live.event import json_text

#: Fewer people than this are never counted in an answer, so that nobody can be singled out.
FEWEST_TOLD = 3
#: How many people it takes for half of full confidence.
HALF_CONFIDENCE = 5.0
#: Scores are written in units of 10⁻⁸, so that the parts of a score add up to it in print.
SCORE_DECIMALS = 8

_ANSWER = (
    b'{"recommendation_id":"%b","user_id":%b,"recommendations":[%b],"model_version":"%b","variant":"%b",'
    b'"ab_experiment":%b,"notice":%b,"latency_ms":%.3f}'
)


class _Piece(IntEnum):
    """The fixed texts between the variable ones."""

    OPEN, SCORE, RANK_SCORE, CONFIDENCE, REASON, A_FEW, PEOPLE, AND, END_QUOTE, COLLABORATIVE, POPULARITY = (
        range(11)
    )
    CLOSE_REASONS, BY_NEIGHBOURS, BY_POPULARITY, BECAUSE, BECAUSE_TITLE, WEIGHT, SHARE, CLOSE, COMMA = range(
        11, 20
    )
    OTHER, OTHER_EVENTS, NO_OTHER, NEIGHBOURS, NULL, POPULAR, NEW = range(20, 27)


_TEXTS: dict[_Piece, str] = {
    _Piece.OPEN: "{",
    _Piece.SCORE: ',"score":',
    _Piece.RANK_SCORE: ',"rank_score":',
    _Piece.CONFIDENCE: ',"confidence":',
    _Piece.REASON: ',"reason":"',
    _Piece.A_FEW: "A few",
    _Piece.PEOPLE: " people with your taste like this, above all those who also liked “",
    _Piece.AND: "” and “",
    _Piece.END_QUOTE: "”",
    _Piece.COLLABORATIVE: '","rank_reasons":[{"type":"collaborative","weight":',
    _Piece.POPULARITY: '","rank_reasons":[{"type":"popularity","weight":',
    _Piece.CLOSE_REASONS: "}]",
    _Piece.BY_NEIGHBOURS: ',"algorithm":"collaborative_filtering","because":[',
    _Piece.BY_POPULARITY: ',"algorithm":"popularity","because":[],"because_other":null,"neighbours":null}',
    _Piece.BECAUSE: '{"event_id":"',
    _Piece.BECAUSE_TITLE: '","title":"',
    _Piece.WEIGHT: '","weight":',
    _Piece.SHARE: ',"share":',
    _Piece.CLOSE: "}",
    _Piece.COMMA: ",",
    _Piece.OTHER: '],"because_other":{"events":',
    _Piece.OTHER_EVENTS: ',"weight":',
    _Piece.NO_OTHER: '],"because_other":null',
    _Piece.NEIGHBOURS: ',"neighbours":',
    _Piece.NULL: "null",
    _Piece.POPULAR: "Popular ",
    _Piece.NEW: "Newly listed ",
}
#: More than all pieces and numbers of one recommendation take, in bytes.
_ITEM_OVERHEAD = sum(len(text.encode()) for text in _TEXTS.values()) + REASONS * 128 + 512


class Pieces(NamedTuple):
    """The fixed texts as the kernel takes them."""

    blob: NDArray[np.uint8]
    starts: NDArray[np.int64]


def _make_pieces() -> Pieces:
    encoded = [_TEXTS[piece].encode() for piece in _Piece]
    starts = np.cumsum([0, *map(len, encoded)])
    return Pieces(np.frombuffer(b"".join(encoded), np.uint8).copy(), starts.astype(np.int64))


@inlined
def _fixed(out, at, pieces, piece):  # type: ignore[no-untyped-def]
    return put_text(
        out, at, pieces.blob, pieces.starts[piece], pieces.starts[piece + 1] - pieces.starts[piece]
    )


@inlined
def _card_text(out, at, cards, event, which):  # type: ignore[no-untyped-def]
    start = cards.bounds[event, which]
    return put_text(out, at, cards.blob, start, cards.bounds[event, which + 1] - start)


@inlined
def _card_length(cards, event):  # type: ignore[no-untyped-def]
    return cards.bounds[event, -1] - cards.bounds[event, 0]


@inlined
def _units(value, decimals):  # type: ignore[no-untyped-def]
    return np.int64(np.float64(value) * 10.0**decimals + 0.5)


@inlined
def _score(answer, rank):  # type: ignore[no-untyped-def]
    """A score as it is shown: a sum of float32 can come out a little above 1, where exact arithmetic would not."""
    return min(answer.scores[rank], np.float32(1.0))


@inlined
def _confidence(people):  # type: ignore[no-untyped-def]
    """How sure a score is, from 0 to 1. People too few to be told count as one, or this figure would tell them."""
    if people < 1.0:
        return 0.0
    if people < FEWEST_TOLD:
        people = 1.0
    return people / (people + HALF_CONFIDENCE)


@inlined
def _open_item(out, at, cards, pieces, event, score, best, confidence):  # type: ignore[no-untyped-def]
    """What every recommendation begins with, up to the text of its reason."""
    at = _fixed(out, at, pieces, _Piece.OPEN)
    at = _card_text(out, at, cards, event, MEMBERS)
    at = _fixed(out, at, pieces, _Piece.SCORE)
    at = put_decimal(out, at, _units(score, SCORE_DECIMALS), SCORE_DECIMALS)
    at = _fixed(out, at, pieces, _Piece.RANK_SCORE)
    at = put_decimal(out, at, _units(score / best if best > 0.0 else 0.0, 4), 4)
    at = _fixed(out, at, pieces, _Piece.CONFIDENCE)
    at = put_decimal(out, at, _units(confidence, 3), 3)
    return _fixed(out, at, pieces, _Piece.REASON)


@inlined
def _personal_item(out, at, cards, pieces, answer, rank, best, liked):  # type: ignore[no-untyped-def]
    """A recommendation of the neighbourhood's, with the events of the profile that caused it."""
    people = answer.supporters[rank]
    score = _score(answer, rank)
    at = _open_item(out, at, cards, pieces, answer.events[rank], score, best, _confidence(people))
    at = _people(out, at, pieces, people, _Piece.A_FEW)
    at = _fixed(out, at, pieces, _Piece.PEOPLE)
    for place in range(min(2, answer.contributors[rank])):
        if place > 0:
            at = _fixed(out, at, pieces, _Piece.AND)
        at = _card_text(out, at, cards, liked[answer.reasons[rank, place]], TITLE)
    at = _fixed(out, at, pieces, _Piece.END_QUOTE)
    at = _fixed(out, at, pieces, _Piece.COLLABORATIVE)
    at = put_decimal(out, at, _units(score, SCORE_DECIMALS), SCORE_DECIMALS)
    at = _fixed(out, at, pieces, _Piece.CLOSE_REASONS)
    at = _fixed(out, at, pieces, _Piece.BY_NEIGHBOURS)
    at = _because(out, at, cards, pieces, answer, rank, liked)
    at = _fixed(out, at, pieces, _Piece.NEIGHBOURS)
    at = _people(out, at, pieces, people, _Piece.NULL)
    return _fixed(out, at, pieces, _Piece.CLOSE)


@inlined
def _people(out, at, pieces, people, too_few):  # type: ignore[no-untyped-def]
    """How many people, or the piece that stands for too few to tell."""
    return put_whole(out, at, people) if people >= FEWEST_TOLD else _fixed(out, at, pieces, too_few)


@inlined
def _because(out, at, cards, pieces, answer, rank, liked):  # type: ignore[no-untyped-def]
    """The greatest contributors and the rest, in units that add up to the score's."""
    total = _units(_score(answer, rank), SCORE_DECIMALS)
    left = total
    named = min(REASONS, answer.contributors[rank])
    for place in range(named):
        if place > 0:
            at = _fixed(out, at, pieces, _Piece.COMMA)
        event = liked[answer.reasons[rank, place]]
        part = answer.contributions[rank, place]
        units = min(left, _units(part, SCORE_DECIMALS))
        if place == answer.contributors[rank] - 1:
            units = left
        left -= units
        at = _fixed(out, at, pieces, _Piece.BECAUSE)
        at = _card_text(out, at, cards, event, ID)
        at = _fixed(out, at, pieces, _Piece.BECAUSE_TITLE)
        at = _card_text(out, at, cards, event, TITLE)
        at = _fixed(out, at, pieces, _Piece.WEIGHT)
        at = _weight_and_share(out, at, pieces, units, total)
    others = answer.contributors[rank] - named
    if others == 0:
        return _fixed(out, at, pieces, _Piece.NO_OTHER)
    at = _fixed(out, at, pieces, _Piece.OTHER)
    at = put_whole(out, at, others)
    at = _fixed(out, at, pieces, _Piece.OTHER_EVENTS)
    return _weight_and_share(out, at, pieces, left, total)


@inlined
def _weight_and_share(out, at, pieces, units, total):  # type: ignore[no-untyped-def]
    """A part of a score, and that part of the whole; both from the printed units, so that they agree."""
    at = put_decimal(out, at, units, SCORE_DECIMALS)
    at = _fixed(out, at, pieces, _Piece.SHARE)
    at = put_decimal(out, at, _units(units / total if total > 0 else 0.0, 4), 4)
    return _fixed(out, at, pieces, _Piece.CLOSE)


@inlined
def _popular_item(out, at, cards, pieces, answer, rank, best, people, where):  # type: ignore[no-untyped-def]
    """A recommendation from the popularity list."""
    score = _score(answer, rank)
    at = _open_item(out, at, cards, pieces, answer.events[rank], score, best, _confidence(people))
    at = _fixed(out, at, pieces, _Piece.POPULAR if people >= 1.0 else _Piece.NEW)
    at = put_text(out, at, where, 0, where.size)
    at = _fixed(out, at, pieces, _Piece.POPULARITY)
    at = put_decimal(out, at, _units(score, SCORE_DECIMALS), SCORE_DECIMALS)
    at = _fixed(out, at, pieces, _Piece.CLOSE_REASONS)
    return _fixed(out, at, pieces, _Piece.BY_POPULARITY)


@kernel
def _encode(out, cards, pieces, answer, n_personal, n, liked, masses, where):  # type: ignore[no-untyped-def]
    """Write n recommendations with commas between them; return their length, or minus the room that is missing."""
    at = np.int64(0)
    best = _score(answer, 0) if n > 0 else np.float32(0.0)
    for rank in range(n):
        room = at + _ITEM_OVERHEAD + where.size + _card_length(cards, answer.events[rank])
        if rank < n_personal:
            for place in range(min(REASONS, answer.contributors[rank])):
                # Named twice: in the text of the reason and in the list.
                room += 2 * _card_length(cards, liked[answer.reasons[rank, place]])
        if room > out.size:
            return out.size - room
        if rank > 0:
            at = _fixed(out, at, pieces, _Piece.COMMA)
        if rank < n_personal:
            at = _personal_item(out, at, cards, pieces, answer, rank, best, liked)
        else:
            people = masses[answer.events[rank]]
            at = _popular_item(out, at, cards, pieces, answer, rank, best, people, where)
    return at


class Envelope(NamedTuple):
    """What an answer says beside its recommendations."""

    recommendation_id: str
    user_id: str | None
    model_version: str
    variant: str
    experiment: bytes  #: JSON, encoded already
    notice: str | None


class Encoder:
    """Encodes one answer at a time; holds the buffer that takes."""

    def __init__(self) -> None:
        self._out = np.empty(1 << 17, np.uint8)
        self._pieces = _make_pieces()

    def items(
        self,
        ranking: Ranking,
        liked: NDArray[np.int32],
        cards: Cards,
        masses: NDArray[np.float32],
        city: str | None,
    ) -> bytes:
        """The recommendations of a ranking as the members of a JSON list, best first.

        `liked` int32[p] is the profile that the reasons point into, `masses` float32[events] the sums of
        preferences for each event, `city` the one that was asked for, as the caller wrote it.
        """
        where = b"in " + json_text(city) if city else b"right now"
        where_bytes = np.frombuffer(where, np.uint8).copy()
        while True:
            length: int = _encode(self._out, cards, self._pieces, *ranking, liked, masses, where_bytes)
            if length >= 0:
                return self._out[:length].tobytes()
            self._out = np.empty(2 * (self._out.size - length), np.uint8)


def encode_answer(envelope: Envelope, items: bytes, latency_ms: float) -> bytes:
    """The whole answer as JSON."""
    return _ANSWER % (
        envelope.recommendation_id.encode(),
        orjson.dumps(envelope.user_id),
        items,
        json_text(envelope.model_version),
        json_text(envelope.variant),
        envelope.experiment,
        orjson.dumps(envelope.notice),
        latency_ms,
    )
