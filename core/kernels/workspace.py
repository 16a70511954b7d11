"""Scratch space and outputs of the live kernels, allocated once for each worker and reused by every request."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.dot import LANES
from core.reasons import PARTS

#: How many of a profile's events are named as reasons of one recommendation.
REASONS = 3
#: The binary logarithm of the events in a block, of each of which the best score is noted; of votes in smaller blocks,
#: which a mask of 32 bits can tell apart (a loop over half as many the compiler unrolls, one event at a time).
BLOCK_BITS, VOTES_BLOCK_BITS = 6, 5
#: The longest answer: places are kept in a byte.
MOST_ANSWERS = 255


class Workspace(NamedTuple):
    """Arrays that hold zero (or -1, where noted) between two requests, and others with no such rest state."""

    user_sums: NDArray[np.float32]  #: [users]
    touched_users: NDArray[np.int32]  #: [users + 1], no rest state
    touched_sums: NDArray[np.float32]  #: [users], no rest state: the sums of the touched users
    user_bits: NDArray[np.int32]  #: [users], no rest state: similarities of the touched users, as bits
    places: NDArray[np.int32]  #: [users + 1], no rest state: those that count, of touched users or in a row
    slot_of_user: NDArray[np.int32]  #: [users], -1
    event_sums: NDArray[np.float32]  #: [events]
    block_bits: NDArray[np.int32]  #: [blocks of events], no rest state: the best score of each, as bits
    touched_events: NDArray[np.int32]  #: [events + LANES], no rest state
    rank_of_event: NDArray[
        np.uint8
    ]  #: [events], place in the answer counted from 1; a byte keeps it near the core
    is_ranked: NDArray[np.uint32]  #: [words of 32 events], 0: a bit for each that has a place
    keys: NDArray[np.uint64]  #: [max(users, events) + MOST_ANSWERS], no rest state


class Neighbours(NamedTuple):
    """The neighbourhood of one request; no rest state."""

    users: NDArray[np.int32]  #: [k], in the order in which the profile's postings first name them
    sums: NDArray[np.float32]  #: [k], what the profile's events add up to: the similarity before scaling
    votes: NDArray[np.float32]  #: [k], the amplified similarity: what the user's likes count
    starts: NDArray[np.int64]  #: [k], where the user's row of the model begins
    stops: NDArray[np.int64]  #: [k], where it stops
    ends: NDArray[np.int64]  #: [k], where the user's part of the log of votes ends


class Answer(NamedTuple):
    """The ranking of one request with its reasons; no rest state."""

    scores: NDArray[np.float32]  #: [n], best first
    events: NDArray[np.int32]  #: [n]
    supporters: NDArray[np.int32]  #: [n], how many neighbours like the event
    contributors: NDArray[np.int32]  #: [n], how many of the profile's events contribute
    reasons: NDArray[
        np.int32
    ]  #: [n, REASONS], positions in the profile, greatest contribution first, -1 for none
    contributions: NDArray[np.float32]  #: [n, REASONS], what each of them adds to the collaborative part
    parts: NDArray[np.float32]  #: [n, PARTS], the score by kinds (`core.reasons.Part`); they add up to it
    subjects: NDArray[np.int32]  #: [n, PARTS], the feature that adds most to a part of content, -1 for none


def workspace(users: int, events: int) -> Workspace:
    """Scratch space for matrices of at most `users` × `events`."""
    return Workspace(
        user_sums=np.zeros(users, np.float32),
        touched_users=np.empty(users + 1, np.int32),
        touched_sums=np.empty(users, np.float32),
        user_bits=np.empty(users, np.int32),
        places=np.empty(users + 1, np.int32),
        slot_of_user=np.full(users, -1, np.int32),
        event_sums=np.zeros(events, np.float32),
        block_bits=np.empty((events >> VOTES_BLOCK_BITS) + 1, np.int32),
        touched_events=np.empty(events + LANES, np.int32),
        rank_of_event=np.zeros(events, np.uint8),
        is_ranked=np.zeros((events >> 5) + 1, np.uint32),
        keys=np.empty(max(users, events) + MOST_ANSWERS, np.uint64),
    )


def neighbours(k: int) -> Neighbours:
    """Room for a neighbourhood of at most `k` users."""
    places = (np.empty(k, np.int64) for _ in range(3))
    return Neighbours(np.empty(k, np.int32), np.empty(k, np.float32), np.empty(k, np.float32), *places)


def answer(n: int) -> Answer:
    """Room for at most `n` recommendations."""
    return Answer(
        scores=np.empty(n, np.float32),
        events=np.empty(n, np.int32),
        supporters=np.empty(n, np.int32),
        contributors=np.empty(n, np.int32),
        reasons=np.empty((n, REASONS), np.int32),
        contributions=np.empty((n, REASONS), np.float32),
        parts=np.zeros((n, PARTS), np.float32),
        subjects=np.full((n, PARTS), -1, np.int32),
    )
