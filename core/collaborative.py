"""`collaborative_filtering`: what a training computes for the live user-based neighbourhood, and its settings.

The arm has no fitted similarity: fitting it is transposing the interactions, sampling the longest posting lists, and
adding up each person's and each event's preferences. `core.kernels.neighbourhood` holds the formula.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.sparse import Rows, cap_postings, check_rows, transpose

_AMPLIFICATIONS = (1.0, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class CollaborativeSettings:
    """Settings of the neighbourhood; the defaults were chosen on held-out interactions (`bench.quality`).

    Raises ValueError, naming the setting, for a value out of its range.
    """

    neighbours: int = 300  #: k, the size of the neighbourhood
    posting_cap: int | None = 100  #: savers kept of each event; None keeps all
    rarity: float = 0.3  #: a: an event adds n_e^-a to a similarity, so a rare one in common says more
    activity: float = 0.6  #: g: similarities are divided by (m_u · m_v)^g; ½ is the cosine
    popularity_discount: float = 0.15  #: d: a score is divided by n_e^d
    amplification: float = 1.5  #: votes count as similarity to this power: 1, 1.5 or 2
    seed: int = 0  #: of the sample that the cap keeps

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours: expected at least 1, got {self.neighbours}")
        if self.posting_cap is not None and self.posting_cap < 1:
            raise ValueError(f"posting_cap: expected at least 1 or none, got {self.posting_cap}")
        for name in ("rarity", "activity", "popularity_discount"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")
        if self.amplification not in _AMPLIFICATIONS:
            raise ValueError(f"amplification: expected one of {_AMPLIFICATIONS}, got {self.amplification}")

    @property
    def half_powers(self) -> int:
        """The amplification as the kernels take it, in halves."""
        return round(2 * self.amplification)


class Neighbourhood(NamedTuple):
    """What the arm reads of a model, beside the interactions themselves."""

    savers: Rows  #: rows are events, columns users: the postings, capped
    user_masses: NDArray[np.float32]  #: [users] m_v, the sum of a person's preferences
    event_masses: NDArray[np.float32]  #: [events] n_e, the sum of the preferences for an event


def fit_neighbourhood(liked: Rows, n_events: int, settings: CollaborativeSettings) -> Neighbourhood:
    """Compute the arm's part of a model from the preferences, rows users.

    Raises ValueError when `liked` is not a matrix of `n_events` columns.
    """
    check_rows(liked, n_events)
    postings = transpose(liked, n_events)
    return Neighbourhood(
        savers=cap_postings(postings, settings.posting_cap, settings.seed),
        user_masses=_row_masses(liked),
        event_masses=_row_masses(postings),
    )


def _row_masses(rows: Rows) -> NDArray[np.float32]:
    running = np.concatenate(([0], np.cumsum(rows.weights, dtype=np.int64)))
    return (np.diff(running[rows.indptr]) / 255.0).astype(np.float32)


def scale(masses: NDArray[np.float32], exponent: float) -> NDArray[np.float32]:
    """max(mass, 1)^-exponent, float32. The floor keeps a single click from counting for more than a save."""
    return (np.maximum(masses, 1.0).astype(np.float64) ** -exponent).astype(np.float32)
