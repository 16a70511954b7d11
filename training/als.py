"""Fitting the factors of the `als` arm. The only place that imports implicit, when it is needed: it brings SciPy."""

import hashlib
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.als import AlsSettings, Factors, event_confidences, no_factors, quantise_factors
from core.collaborative import Neighbourhood
from core.sparse import Rows, entry_rows

#: Threads of the solver. Each vector is solved for by itself, so their number changes no bit of the outcome.
THREADS = 2


class FactorsFit(Protocol):
    """What fits factors: `fit_factors`, or what has kept those that it fitted."""

    def __call__(self, liked: Rows, neighbourhood: Neighbourhood, settings: AlsSettings) -> Factors: ...


class KeptFactors:
    """Fits as `fit_factors` and keeps what it has fitted: the same preferences and settings are fitted once."""

    def __init__(self) -> None:
        self._kept: dict[tuple[AlsSettings, bytes], Factors] = {}

    def __call__(self, liked: Rows, neighbourhood: Neighbourhood, settings: AlsSettings) -> Factors:
        digest = hashlib.sha256(str(neighbourhood.event_masses.size).encode())
        for array in liked:
            digest.update(np.ascontiguousarray(array).data)
        key = settings, digest.digest()
        if key not in self._kept:
            self._kept[key] = fit_factors(liked, neighbourhood, settings)
        return self._kept[key]


def fit_factors(liked: Rows, neighbourhood: Neighbourhood, settings: AlsSettings) -> Factors:
    """Factorise the preferences, rows users, and keep the whitened vectors of the events in bytes.

    None are fitted where nobody likes anything. The same data and settings give the same bits.
    """
    n_events = neighbourhood.event_masses.size
    if not liked.indices.size:
        return no_factors()
    confidences = event_confidences(neighbourhood.user_masses, neighbourhood.event_masses, settings)
    vectors = _event_vectors(liked, neighbourhood.user_masses, confidences, n_events, settings)
    vectors[neighbourhood.event_masses == 0.0] = 0.0
    values, steps = quantise_factors(_whitened(vectors, settings.regularization))
    return Factors(values, steps, confidences)


def _event_vectors(
    liked: Rows,
    user_masses: NDArray[np.float32],
    confidences: NDArray[np.float32],
    n_events: int,
    settings: AlsSettings,
) -> NDArray[np.float32]:
    """float32[events, factors]: Y."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    scales = np.maximum(user_masses, 1.0).astype(np.float64) ** -settings.activity
    extra = (liked.weights / np.float32(255.0)) * confidences[liked.indices]
    data = 1.0 + extra * scales[entry_rows(liked)].astype(np.float32)
    matrix = csr_matrix((data, liked.indices, liked.indptr), shape=(liked.n_rows, n_events))
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=min(settings.factors, n_events, liked.n_rows),
            regularization=settings.regularization,
            iterations=settings.iterations,
            random_state=settings.seed,
            num_threads=THREADS,
        )
        model.fit(matrix, show_progress=False)
    vectors: NDArray[np.float32] = model.item_factors
    return vectors


def _whitened(vectors: NDArray[np.float32], regularization: float) -> NDArray[np.float32]:
    """(YᵀY + λI)^-½ Y. The symmetric root spreads a vector over all components, so that bytes hold it well."""
    gram = (vectors.T @ vectors).astype(np.float64) + regularization * np.eye(vectors.shape[1])
    eigenvalues, basis = np.linalg.eigh(gram)
    root = ((basis / np.sqrt(eigenvalues)) @ basis.T).astype(np.float32)
    return np.asarray(vectors @ root)
