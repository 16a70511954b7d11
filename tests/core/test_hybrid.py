import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.als import AlsSettings, Factors, no_factors, quantise_factors
from core.content import NO_CONTENT
from core.hybrid import BANDS, Blend, band_of, check_blend, default_blend
from core.kernels.als import MOST_FOLDED
from core.kernels.live import NOBODY, Profile
from core.kernels.workspace import MOST_ANSWERS
from core.live_site import LiveSite
from core.reasons import Part
from core.recommender import Ranking, Recommender
from core.tastes import NO_TASTE
from tests import oracles
from tests.live import all_open, changed_sites, is_at_rest, live_site, profile_of

ACTIVITY = AlsSettings().activity


@pytest.fixture(autouse=True, scope="module")
def compiled() -> None:
    """Else drawing the first example takes as long as compiling, which Hypothesis takes for a slow strategy."""
    Recommender(live_site(np.ones((1, 1), np.uint8), neighbours=4), np.ones(1, np.float32))


def some_factors(seed: int, n_events: int) -> Factors:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n_events, 6)) * 0.3
    return Factors(*quantise_factors(vectors), rng.uniform(1.0, 40.0, n_events).astype(np.float32))


def a_blend(neighbours: float, factors: float, popularity: float, discount: float) -> Blend:
    """The same in all bands; content is left out."""
    weights = np.array([neighbours, factors, 0.0, popularity], np.float32)
    whole = np.tile(weights / weights.sum(), (len(BANDS), 1)).astype(np.float32)
    return Blend(whole, np.full(len(BANDS), discount, np.float32))


@st.composite
def sites(draw: st.DrawFn) -> tuple[LiveSite, Profile, Recommender, Blend, np.ndarray]:
    """A changed site with factors of a part of its events, somebody of it, a blend, and which events are open."""
    live = draw(changed_sites(neighbours=4).filter(lambda live: live.n_events and live.n_users))
    known = draw(st.integers(0, live.n_events))
    factors = some_factors(draw(st.integers(0, 3)), known) if known else no_factors()
    weight = st.sampled_from([0.1, 0.5, 1.0])
    blend = a_blend(draw(weight), draw(weight), draw(weight), draw(st.sampled_from([0.0, 0.1])))
    popularity = np.linspace(1.0, 0.1, live.n_events, dtype=np.float32)
    open_events = all_open(live)
    open_events[draw(st.lists(st.integers(0, live.n_events - 1), max_size=2))] = 0
    profile = profile_of(live, draw(st.integers(0, live.n_users - 1)))
    return live, profile, Recommender(live, popularity, factors, blend=blend), blend, open_events


def ask(arm: Recommender, profile: Profile, open_events: np.ndarray, n: int) -> Ranking:
    return arm.hybrid(profile, NO_CONTENT, NO_TASTE, open_events, n)


@given(sites(), st.integers(1, 8))
def test_a_blend_is_the_weighted_sum_of_its_components_in_units_of_their_best(site, n):
    live, profile, arm, blend, open_events = site
    weights, discount = blend.weights[0].tolist(), float(blend.discounts[0])
    votes, _ = oracles.recommend(profile, live.site, live.settings.half_powers, open_events, 4, MOST_ANSWERS)
    masses = {one.event: max(1.0, float(live.event_masses[one.event])) ** -discount for one in votes}
    _, by_factors = oracles.fold_in(profile, arm._factors.factors.value, ACTIVITY, MOST_FOLDED)
    components = {
        "neighbours": {one.event: float(one.score) * masses[one.event] for one in votes},
        "factors": {
            one.event: max(0.0, by_factors[one.event]) * masses[one.event]
            for one in votes
            if one.event < by_factors.size
        },
        "popularity": {one.event: float(np.linspace(1, 0.1, live.n_events)[one.event]) for one in votes},
    }
    named = dict(zip(("neighbours", "factors", "popularity"), np.array(weights)[[0, 1, 3]], strict=True))
    expected = oracles.blend(components, named, n)

    ranking = ask(arm, profile, open_events, n)
    out = ranking.answer

    assert ranking.n_personal == len(expected)
    scores = {one.event: one for one in oracles.blend(components, named, MOST_ANSWERS)}
    assert out.scores[: len(expected)].tolist() == pytest.approx([one.score for one in expected], abs=1e-5)
    for rank in range(len(expected)):
        one = scores[int(out.events[rank])]
        assert one.score == pytest.approx(float(out.scores[rank]), abs=1e-5)
        of_people = one.added["neighbours"] + one.added["factors"]
        assert out.parts[rank, Part.COLLABORATIVE] == pytest.approx(of_people, abs=1e-5)
        assert out.parts[rank, Part.POPULARITY] == pytest.approx(one.added["popularity"], abs=1e-5)
        assert out.parts[rank].sum() == pytest.approx(float(out.scores[rank]), abs=1e-5)
        if out.contributors[rank] <= 3 and (out.reasons[rank] >= 0).sum() == out.contributors[rank]:
            assert out.contributions[rank].sum() == pytest.approx(of_people, abs=1e-5)


@given(sites())
def test_a_blend_leaves_the_scratch_space_at_rest(site):
    _, profile, arm, _, open_events = site

    first = ask(arm, profile, open_events, 5)
    before = (first.events, first.answer.scores[: first.n].tolist())
    again = ask(arm, profile, open_events, 5)

    assert is_at_rest(arm._space.value)
    assert (again.events, again.answer.scores[: again.n].tolist()) == before


@given(sites())
def test_somebody_of_whom_nothing_is_known_gets_what_is_popular(site):
    _, _, arm, _, open_events = site

    ranking = ask(arm, NOBODY, open_events, 5)

    assert ranking.n_personal == 0
    assert ranking.events == arm.popular(open_events, NOBODY.excluded, 5).events


@pytest.mark.parametrize(("n_liked", "band"), [(0, 0), (1, 1), (4, 1), (5, 2), (20, 2), (21, 3), (900, 3)])
def test_the_band_follows_from_how_much_a_person_likes(n_liked, band):
    assert band_of(n_liked) == band


@pytest.mark.parametrize(
    ("part", "value", "named"),
    [
        ("weights", np.zeros((4, 3), np.float32), r"weights: expected float32\[4, 4\], got float32\[4, 3\]"),
        ("weights", np.full((4, 4), 0.2, np.float32), "weights: a band does not add up to 1"),
        ("weights", np.full((4, 4), np.nan, np.float32), "weights: a value is not in 0…1"),
        ("weights", np.eye(4, dtype=np.float32) * 2 - 1, "weights: a value is not in 0…1"),
        ("discounts", np.zeros(4, np.float64), r"discounts: expected float32\[4\], got float64\[4\]"),
        ("discounts", np.full(4, 1.5, np.float32), "discounts: a value is not in 0…1"),
    ],
)
def test_a_blend_that_cannot_be_one_is_refused_by_the_name_of_its_part(part, value, named):
    check_blend(default_blend())

    with pytest.raises(ValueError, match=f"^{named}"):
        check_blend(default_blend()._replace(**{part: value}))
