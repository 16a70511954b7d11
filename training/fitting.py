"""From a log of interactions to a model."""

import numpy as np
from numpy.typing import NDArray

from core.collaborative import fit_neighbourhood
from core.interactions import BuildReport, InteractionLog, build_preferences
from core.model import Model, ModelSettings
from core.popularity import fit_popularity
from core.sparse import no_pairs
from core.vocabulary import Vocabulary
from training.als import FactorsFit, fit_factors
from training.blending import learn_blend


def fit_model(
    version: str,
    users: Vocabulary,
    events: Vocabulary,
    log: InteractionLog,
    event_city: NDArray[np.int32],
    event_created: NDArray[np.float64],
    settings: ModelSettings,
    cutoff: float,
    fit: FactorsFit = fit_factors,
) -> tuple[Model, BuildReport]:
    """Fit every arm on the rows of `log` up to `cutoff` (unix seconds); also what became of those rows.

    `fit` fits the factors, which takes most of the time.
    """
    preferences, report = build_preferences(log, len(users), len(events), settings.preferences, cutoff)
    popularity = fit_popularity(
        log, len(events), event_city, event_created, settings.popularity, settings.preferences.weights, cutoff
    )
    neighbourhood = fit_neighbourhood(preferences.liked, len(events), settings.collaborative)
    model = Model(
        version=version,
        settings=settings,
        users=users,
        events=events,
        preferences=preferences,
        neighbourhood=neighbourhood,
        popularity=popularity,
        saved=no_pairs(len(users)),
        hidden=no_pairs(len(users)),
        factors=fit(preferences.liked, neighbourhood, settings.als),
        blend=learn_blend(preferences.liked, len(events), settings.collaborative, settings.als, fit=fit),
    )
    return model, report
