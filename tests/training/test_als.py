import numpy as np
import pytest

from core.als import AlsSettings, no_factors
from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.recommender import Recommender
from core.sparse import Rows
from tests.live import all_open, profile_of, site_of
from tests.strategies import rows_from_dense
from training import als
from training.als import KeptFactors, fit_factors

N_EVENTS = 40


def two_tastes(seed: int = 0) -> Rows:
    """Sixty people: each likes some of the even events, or some of the odd ones."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((60, N_EVENTS), np.uint8)
    for user in range(60):
        dense[user, user % 2 + 2 * rng.permutation(N_EVENTS // 2)[:6]] = 255
    return rows_from_dense(dense)


def fitted(liked: Rows, **settings):
    neighbourhood = fit_neighbourhood(liked, N_EVENTS, CollaborativeSettings())
    return fit_factors(liked, neighbourhood, AlsSettings(**settings))


def test_people_are_recommended_what_their_taste_goes_for():
    liked = two_tastes()
    live = site_of(liked, N_EVENTS, CollaborativeSettings())
    arm = Recommender(live, np.zeros(N_EVENTS, np.float32), fitted(liked), AlsSettings())

    for user in range(10):
        ranking = arm.als(profile_of(live, user), all_open(live), 10)
        assert ranking.n_personal == 10
        assert {event % 2 for event in ranking.events} == {user % 2}


def test_any_number_of_threads_gives_the_same_bits(monkeypatch):
    fits = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(als, "THREADS", threads)
        fits.append([array.tobytes() for array in fitted(two_tastes())])

    assert fits[0] == fits[1] == fits[2]


def test_another_seed_gives_other_vectors():
    assert fitted(two_tastes()).values.tobytes() != fitted(two_tastes(), seed=1).values.tobytes()


def test_an_event_that_nobody_likes_has_no_vector():
    dense = np.zeros((5, N_EVENTS), np.uint8)
    dense[:, :3] = 255

    steps = fitted(rows_from_dense(dense)).steps

    assert (steps[:3] > 0).all()
    assert not steps[3:].any()


def test_nothing_is_fitted_where_nobody_likes_anything():
    assert fitted(rows_from_dense(np.zeros((5, N_EVENTS), np.uint8))).steps.size == 0


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("factors", 0),
        ("factors", 513),
        ("iterations", 0),
        ("regularization", 0.0),
        ("regularization", np.inf),
        ("confidence", np.nan),
        ("activity", -0.1),
        ("rarity", 1.5),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value):
    with pytest.raises(ValueError, match=rf"^{setting}: expected .*, got {value}"):
        AlsSettings(**{setting: value})


def test_what_was_fitted_is_kept_for_the_same_preferences_and_settings(monkeypatch):
    fitted = []

    def fit(liked, neighbourhood, settings):
        fitted.append(settings)
        return no_factors()

    monkeypatch.setattr(als, "fit_factors", fit)
    few, more = (rows_from_dense(dense) for dense in (np.eye(3, dtype=np.uint8), np.ones((3, 3), np.uint8)))
    keep, other = KeptFactors(), AlsSettings(factors=4)
    for liked, settings in [(few, AlsSettings()), (more, AlsSettings()), (few, AlsSettings()), (few, other)]:
        keep(liked, fit_neighbourhood(liked, 3, CollaborativeSettings()), settings)

    assert fitted == [AlsSettings(), AlsSettings(), other]
