"""The kernel that writes the recommendations of an answer; it decides nothing that `units` has not worked out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.held import borrowed, held_in
from core.kernels.jit import inlined, kernel
from core.kernels.prefetch import prefetch
from core.kernels.text import put_decimal, put_signed, put_text, put_whole
from core.kernels.workspace import REASONS
from core.reasons import PARTS, Part
from service.live.cards import ID, MEMBERS, TITLE, Cards
from service.live.labels import Labels
from service.recommending.pieces import (
    AFTER,
    ALONE,
    BEFORE,
    BLOB,
    FIRST_SENTENCE,
    NAMES,
    STARTS,
    Piece,
)
from service.recommending.units import (
    FEWEST_TOLD,
    SCORE_DECIMALS,
    confidence_of,
    count_named,
    shown_score,
    split_cause,
    split_score,
    units_of,
)

#: The bounds of a card, and the bytes of a cache line.
_BOUNDS, _LINE_BYTES = MEMBERS + 2, 64
#: More than the brackets of a list of ids take with what is copied beyond them, and the quotes and comma of an id.
_LIST_OVERHEAD, _ID_OVERHEAD = 256, 4
#: More than all pieces and numbers of one recommendation take, in bytes.
_ITEM_OVERHEAD = BLOB.size + (REASONS + PARTS) * 128 + 512


class Wording(NamedTuple):
    """Texts that an answer repeats."""

    where: NDArray[np.uint8]  #: "in Cork" or "right now"
    algorithm: NDArray[np.uint8]  #: the name of the arm


class _Context(NamedTuple):
    """What the kernel reads beside the ranking."""

    cards: Cards
    labels: Labels
    masses: NDArray[np.float32]
    where: NDArray[np.uint8]
    algorithm: NDArray[np.uint8]
    liked: NDArray[np.int32]  #: [p], the events of the profile


@inlined
def _fixed(out, at, piece):  # type: ignore[no-untyped-def]
    start = STARTS[piece]
    return put_text(out, at, BLOB, start, STARTS[piece + 1] - start)


@inlined
def _card_text(out, at, cards, event, which):  # type: ignore[no-untyped-def]
    start = cards.bounds[event, which]
    return put_text(out, at, cards.blob, start, cards.bounds[event, which + 1] - start)


@inlined
def _card_length(cards, event):  # type: ignore[no-untyped-def]
    return cards.bounds[event, -1] - cards.bounds[event, 0]


@inlined
def _item(out, at, context, answer, rank, is_personal, total, greatest, units, causes):  # type: ignore[no-untyped-def]
    """One recommendation of `total` units, `units` int64[PARTS] of each part; `causes` int64[REASONS] is scratch."""
    event = answer.events[rank]
    people = answer.supporters[rank] if is_personal else 0
    named = count_named(answer.reasons[rank]) if is_personal and units[Part.COLLABORATIVE] != 0 else 0
    at = _fixed(out, at, Piece.OPEN)
    at = _card_text(out, at, context.cards, event, MEMBERS)
    at = _fixed(out, at, Piece.SCORE)
    at = put_decimal(out, at, total, SCORE_DECIMALS)
    at = _fixed(out, at, Piece.RANK_SCORE)
    best = shown_score(answer, 0)
    at = put_decimal(out, at, units_of(shown_score(answer, rank) / best if best > 0.0 else 0.0, 4), 4)
    at = _fixed(out, at, Piece.CONFIDENCE)
    at = put_decimal(out, at, units_of(_confidence(context, event, people, is_personal), 3), 3)
    at = _fixed(out, at, Piece.REASON)
    at = _reason(out, at, context, answer, rank, greatest, people, named)
    at = _rank_reasons(out, at, units, greatest)
    at = _fixed(out, at, Piece.ALGORITHM)
    if is_personal:
        at = put_text(out, at, context.algorithm, 0, context.algorithm.size)
    else:
        at = _fixed(out, at, Piece.BY_POPULARITY)
    at = _fixed(out, at, Piece.BECAUSE)
    if is_personal and units[Part.COLLABORATIVE] != 0:
        at = _because(out, at, context, answer, rank, named, units[Part.COLLABORATIVE], total, causes)
    else:
        at = _fixed(out, at, Piece.NO_OTHER)
    at = _fixed(out, at, Piece.NEIGHBOURS)
    at = _people(out, at, people, Piece.NULL)
    return _fixed(out, at, Piece.CLOSE)


@inlined
def _confidence(context, event, people, is_personal):  # type: ignore[no-untyped-def]
    """From the people behind a score; where there are none, from how much of the person's own there is to go by."""
    if not is_personal:
        return confidence_of(context.masses[event])
    if people > 0:
        return confidence_of(np.float64(people))
    return confidence_of(np.float64(max(1, context.liked.size)))


@inlined
def _reason(out, at, context, answer, rank, greatest, people, named):  # type: ignore[no-untyped-def]
    """A sentence about the greatest part of the score."""
    if greatest == Part.POPULARITY:
        is_known = context.masses[answer.events[rank]] >= 1.0
        at = _fixed(out, at, Piece.POPULAR if is_known else Piece.NEW)
        return put_text(out, at, context.where, 0, context.where.size)
    if greatest != Part.COLLABORATIVE:
        return _about_content(out, at, context, greatest, answer.subjects[rank, greatest])
    if people > 0:
        at = _people(out, at, people, Piece.A_FEW)
        at = _fixed(out, at, Piece.PEOPLE)
    if named == 0:
        return at if people > 0 else _fixed(out, at, Piece.YOUR_TASTE)
    at = _fixed(out, at, Piece.ABOVE_ALL if people > 0 else Piece.BECAUSE_YOU_LIKED)
    for place in range(min(2, named)):
        if place > 0:
            at = _fixed(out, at, Piece.AND)
        at = _card_text(out, at, context.cards, context.liked[answer.reasons[rank, place]], TITLE)
    return _fixed(out, at, Piece.END_QUOTE)


@inlined
def _about_content(out, at, context, part, feature):  # type: ignore[no-untyped-def]
    """The sentence of a part of content, about a feature that has a label or without one."""
    sentence = FIRST_SENTENCE + 3 * part
    length = _label_length(context.labels, feature)
    if length == 0:
        return _fixed(out, at, sentence + ALONE)
    at = _fixed(out, at, sentence + BEFORE)
    at = put_text(out, at, context.labels.blob, context.labels.bounds[feature], length)
    return _fixed(out, at, sentence + AFTER)


@inlined
def _label_length(labels, feature):  # type: ignore[no-untyped-def]
    if feature < 0 or feature >= labels.bounds.size - 1:
        return np.int64(0)
    return labels.bounds[feature + 1] - labels.bounds[feature]


@inlined
def _rank_reasons(out, at, units, greatest):  # type: ignore[no-untyped-def]
    """The parts that are not nothing in print; the greatest always, or a score of 0 would have none."""
    at = _fixed(out, at, Piece.RANK_REASONS)
    is_first = True
    for part in range(PARTS):
        if units[part] == 0 and part != greatest:
            continue
        if not is_first:
            at = _fixed(out, at, Piece.NEXT_REASON)
        is_first = False
        at = _fixed(out, at, NAMES + part)
        at = _fixed(out, at, Piece.WEIGHT)
        at = put_decimal(out, at, units[part], SCORE_DECIMALS)
    return _fixed(out, at, Piece.CLOSE_REASONS)


@inlined
def _people(out, at, people, too_few):  # type: ignore[no-untyped-def]
    """How many people, or the piece that stands for too few to tell."""
    return put_whole(out, at, people) if people >= FEWEST_TOLD else _fixed(out, at, too_few)


@inlined
def _because(out, at, context, answer, rank, named, of_part, total, causes):  # type: ignore[no-untyped-def]
    """The greatest contributors and the rest, in units that add up to those of the collaborative part."""
    cards = context.cards
    contributors = answer.contributors[rank]
    rest = split_cause(answer.contributions[rank], named, contributors, of_part, causes)
    for place in range(named):
        event = context.liked[answer.reasons[rank, place]]
        if place > 0:
            at = _fixed(out, at, Piece.COMMA)
        at = _fixed(out, at, Piece.CAUSE)
        at = _card_text(out, at, cards, event, ID)
        at = _fixed(out, at, Piece.CAUSE_TITLE)
        at = _card_text(out, at, cards, event, TITLE)
        at = _fixed(out, at, Piece.WEIGHT)
        at = _weight_and_share(out, at, causes[place], total)
    others = contributors - named
    if others <= 0:
        return _fixed(out, at, Piece.NO_OTHER)
    at = _fixed(out, at, Piece.OTHER)
    at = put_whole(out, at, others)
    at = _fixed(out, at, Piece.OTHER_WEIGHT)
    return _weight_and_share(out, at, rest, total)


@inlined
def _weight_and_share(out, at, units, total):  # type: ignore[no-untyped-def]
    """A part of a score, and that part of the whole; both from the printed units, so that they agree."""
    at = put_signed(out, at, units, SCORE_DECIMALS)
    at = _fixed(out, at, Piece.SHARE)
    share = units_of(abs(units) / total if total > 0 else 0.0, 4)
    at = put_signed(out, at, share if units >= 0 else -share, 4)
    return _fixed(out, at, Piece.CLOSE)


@inlined
def _room_for(context, answer, rank, is_personal, greatest):  # type: ignore[no-untyped-def]
    """No less than the bytes of one recommendation."""
    room = _ITEM_OVERHEAD + context.where.size + context.algorithm.size
    room += _card_length(context.cards, answer.events[rank])
    room += _label_length(context.labels, answer.subjects[rank, greatest])
    if is_personal:
        for place in range(REASONS):
            # Named twice: in the text of the reason and in the list.
            position = answer.reasons[rank, place]
            room += 2 * _card_length(context.cards, context.liked[position]) if position >= 0 else 0
    return room


@inlined
def _ask_ahead(context, answer, n_personal, n):  # type: ignore[no-untyped-def]
    """Prefetch all that an answer copies from: cards lie about in many megabytes.

    Of the events that are only named, two lines each: their ids and titles are at the front and seldom longer.
    """
    cards, liked, masses = context.cards, context.liked, context.masses
    blob, bounds, flat = cards.blob, cards.bounds, cards.bounds.reshape(-1)
    shown, named, n_named = answer.events[:n], np.empty(n_personal * REASONS, np.int32), 0
    for event in shown:
        prefetch(flat, _BOUNDS * event)
        prefetch(masses, event)
    for rank in range(n_personal):
        for position in answer.reasons[rank]:
            if position >= 0:
                named[n_named] = liked[position]
                prefetch(flat, _BOUNDS * named[n_named])
                n_named += 1
    for event in shown:
        for at in range(bounds[event, 0], bounds[event, MEMBERS + 1], _LINE_BYTES):
            prefetch(blob, at)
    for event in named[:n_named]:
        prefetch(blob, bounds[event, 0])
        prefetch(blob, bounds[event, 0] + _LINE_BYTES)


@inlined
def _event_ids(out, at, cards, answer, start, n):  # type: ignore[no-untyped-def]
    """The ids of the events of ranks start to n - 1 as a JSON list."""
    at = _fixed(out, at, Piece.OPEN_LIST)
    for rank in range(start, n):
        at = _fixed(out, at, Piece.NEXT_QUOTE if rank > start else Piece.QUOTE)
        at = _card_text(out, at, cards, answer.events[rank], ID)
        at = _fixed(out, at, Piece.QUOTE)
    return _fixed(out, at, Piece.CLOSE_LIST)


@kernel
def encode_items(out, telling, wording, liked, answer, n_personal, n, start):  # type: ignore[no-untyped-def]
    """Write the recommendations of ranks start to n - 1 with commas between them, then their ids as a JSON list.

    Returns where the recommendations end and where the ids do, or minus the room that is missing, twice. The first
    n_personal are the arm's, the others of the popularity list. `telling` is a held `service.live.telling.Telling`,
    `wording` a held `Wording`, `answer` a held `core.kernels.workspace.Answer`; `liked` int32[p] are the events of the
    profile.
    """
    out, liked, answer, wording = borrowed(out), borrowed(liked), held_in(answer), held_in(wording)
    cards, labels, masses = held_in(telling)
    context = _Context(cards, labels, masses, wording.where, wording.algorithm, liked)
    _ask_ahead(context, answer, n_personal, n)
    at, ids_room = np.int64(0), np.int64(_LIST_OVERHEAD)
    units, causes = np.empty(PARTS, np.int64), np.empty(REASONS, np.int64)
    for rank in range(start, n):
        total = units_of(shown_score(answer, rank), SCORE_DECIMALS)
        greatest = split_score(answer.parts[rank], total, units)
        end = at + _room_for(context, answer, rank, rank < n_personal, greatest)
        ids_room += _ID_OVERHEAD + _card_length(cards, answer.events[rank])
        if end + ids_room > out.size:
            return out.size - end - ids_room, out.size - end - ids_room
        if rank > start:
            at = _fixed(out, at, Piece.COMMA)
        at = _item(out, at, context, answer, rank, rank < n_personal, total, greatest, units, causes)
    return at, _event_ids(out, at, cards, answer, start, n)
