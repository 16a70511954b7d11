"""`als`: matrix factorisation of the preferences, fitted by alternating least squares; its settings and its factors.

A training minimises, over vectors x_u of people and y_e of events,

    Σ_ue c_ue · (p_ue - x_u·y_e)² + λ · (Σ_u ‖x_u‖² + Σ_e ‖y_e‖²)

with p_ue = 1 for what a person likes and 0 for all else, and the confidence c_ue = 1 for all else (Hu, Koren and
Volinsky, ICDM 2008). For what they like it is c_ue = 1 + α · r_ue · (m_u / m̄)^-a · (n_e / n̄)^-b: a preference says
more of those who have few, and for an event that few prefer. The vectors of people are not kept: at serving a person is
folded in from what they like now (`core.kernels.als`), so that a click counts at once.

The vectors of events are kept whitened, z_e = (YᵀY + λI)^-½ y_e, because then everything that folding in needs are
products between them; and in bytes, because products of whole numbers are exact, fast and the same on any machine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.als import recommend_by_factors
from core.kernels.held import Held
from core.kernels.jit import pinned
from core.kernels.live import NOBODY, Profile
from core.kernels.sketch import Sketch, parts_of, sketch_of
from core.kernels.workspace import Answer, Workspace, answer

#: Above this the sum over a product of a byte and 16 bits for each factor might not fit into 32 bits.
MOST_FACTORS = 512
_GREATEST = 127
_AT_ONCE = 4_096  #: events


@dataclass(frozen=True, slots=True)
class AlsSettings:
    """Settings of the factorisation; the defaults were chosen on held-out interactions (`bench.quality`).

    Raises ValueError, naming the setting, for a value out of its range.
    """

    factors: int = 256  #: the length of a vector; never more than there are events or people
    regularization: float = 30.0  #: λ
    confidence: float = (
        40.0  #: α, of what a person of average activity likes in an event of average popularity
    )
    activity: float = 0.3  #: a
    rarity: float = 0.3  #: b
    iterations: int = 6  #: how often both sides are solved for
    seed: int = 0  #: of the vectors to begin with

    def __post_init__(self) -> None:
        if not 1 <= self.factors <= MOST_FACTORS:
            raise ValueError(f"factors: expected 1 to {MOST_FACTORS}, got {self.factors}")
        if self.iterations < 1:
            raise ValueError(f"iterations: expected at least 1, got {self.iterations}")
        for name in ("regularization", "confidence"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name}: expected a number above 0, got {getattr(self, name)}")
        for name in ("activity", "rarity"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected 0 to 1, got {getattr(self, name)}")


class Factors(NamedTuple):
    """The fitted vectors of the events as the kernels take them; of no events where nothing was fitted."""

    values: NDArray[np.int8]  #: [events, factors], z_e in steps
    steps: NDArray[np.float32]  #: [events], ≥ 0; 0 for an event that says nothing
    confidences: NDArray[np.float32]  #: [events], α · m̄^a · (n_e / n̄)^-b, > 0: c_ue - 1 over r_ue · m_u^-a


def no_factors() -> Factors:
    """The factors of a model that has none."""
    return Factors(np.empty((0, 1), np.int8), np.empty(0, np.float32), np.empty(0, np.float32))


def quantise_factors(whitened: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Vectors [events, factors] in steps of 1/127 of each one's greatest component: (values int8, steps float32)."""
    values, steps = np.empty(whitened.shape, np.int8), np.empty(whitened.shape[0], np.float32)
    for start in range(0, whitened.shape[0], _AT_ONCE):  # whole copies would take four times its memory
        rows = slice(start, start + _AT_ONCE)
        part = whitened[rows]
        steps[rows] = np.abs(part).max(axis=1, initial=0.0) / _GREATEST
        divisors = np.where(steps[rows] > 0.0, steps[rows], np.float32(1.0))
        values[rows] = np.rint(part / divisors[:, np.newaxis]).clip(-_GREATEST, _GREATEST)
    return values, steps


def event_confidences(
    user_masses: NDArray[np.float32], event_masses: NDArray[np.float32], settings: AlsSettings
) -> NDArray[np.float32]:
    """float32[events]: α · m̄^a · (n_e / n̄)^-b, with the means over those that have any preference."""
    of_users, of_events = _mean(user_masses), _mean(event_masses)
    rarity = (np.maximum(event_masses, 1.0).astype(np.float64) / of_events) ** -settings.rarity
    return np.asarray(settings.confidence * of_users**settings.activity * rarity, np.float32)


def _mean(masses: NDArray[np.float32]) -> float:
    known = masses[masses > 0.0]
    return max(1.0, float(known.mean(dtype=np.float64))) if known.size else 1.0


def check_factors(factors: Factors, n_events: int, rest: Callable[[], None] = lambda: None) -> None:
    """Raise ValueError, naming the part, unless these are vectors of `n_events` events, or of none.

    `rest` is called again and again meanwhile.
    """
    values, steps, confidences = factors
    if values.dtype != np.int8 or values.ndim != 2 or not 1 <= values.shape[1] <= MOST_FACTORS:
        raise ValueError(
            f"values: expected int8[events, 1 to {MOST_FACTORS}], got {values.dtype}{list(values.shape)}"
        )
    if values.shape[0] not in (0, n_events):
        raise ValueError(f"values: {values.shape[0]} rows for {n_events} events")
    # All of them are looked at here, in the thread that loads a model, so that no request waits for their pages.
    for start in range(0, values.shape[0], _AT_ONCE):
        rest()
        if (least := values[start : start + _AT_ONCE].min()) < -_GREATEST:
            raise ValueError(f"values: expected at least -{_GREATEST}, got {least}")
    for name, array in (("steps", steps), ("confidences", confidences)):
        if array.dtype != np.float32 or array.shape != values.shape[:1]:
            raise ValueError(
                f"{name}: expected float32[{values.shape[0]}], got {array.dtype}{list(array.shape)}"
            )
        if not (np.isfinite(array).all() and (array >= 0.0).all()):
            raise ValueError(f"{name}: a value is not a number from 0 on")


def sketch_factors(factors: Factors) -> Sketch:
    """Their sketch, which a bundle keeps with them."""
    return Sketch(*sketch_of(factors.values, factors.steps))


def check_sketch(sketch: Sketch, factors: Factors) -> None:
    """Raise ValueError, naming the part, unless a sketch has the shape of one of these factors."""
    expected = parts_of(*factors.values.shape)
    for name, array in sketch._asdict().items():
        dtype, shape = expected[name]
        if array.dtype != dtype or array.shape != shape:
            raise ValueError(f"{name}: expected {np.dtype(dtype)}{shape}, got {array.dtype}{array.shape}")


class FactorScorer:
    """Ranks events by the factors of one model and their sketch; `space` only tells the kernel's types.

    A sketch that is not at hand is made for the first ranking: whoever ranks by other arms alone, as a training does,
    goes without.
    """

    def __init__(
        self, factors: Factors, settings: AlsSettings, space: Held[Workspace], sketch: Sketch | None = None
    ) -> None:
        self._given_sketch = sketch
        self.factors = Held(factors)
        self.activity = settings.activity
        self._space = space

    def rank(
        self, profile: Profile, open_events: NDArray[np.uint8], space: Held[Workspace], out: Held[Answer]
    ) -> int:
        """Rank the events that `open_events` marks, but the excluded ones, into `out` with reasons; return how many."""
        return self._rank(profile, open_events, self.factors, self._sketch, self.activity, space, out)

    @cached_property
    def _sketch(self) -> Held[Sketch]:
        return Held(self._given_sketch or sketch_factors(self.factors.value))

    @cached_property
    def _rank(self) -> Callable[..., int]:
        no_events, out = np.empty(0, np.uint8), Held(answer(1))
        return pinned(
            *(recommend_by_factors, NOBODY, no_events),
            *(self.factors, self._sketch, self.activity, self._space, out),
        )
