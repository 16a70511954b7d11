from dataclasses import dataclass

import numpy as np
import pytest

from core.arranging import AS_RANKED, Arrangement, Facts, arrange, groups_of, soonness
from core.content import index_content
from core.kernels.held import Held
from core.kernels.workspace import answer
from core.reasons import Part
from core.recommender import Ranking
from core.tastes import ContentSettings, Kind
from tests.strategies import pairs_from_lists

NOW, DAY = 1_000_000.0, 86_400.0


@dataclass
class Site:
    """Six events in the order of an arm; the last two only fill the answer up."""

    n_personal: int = 4

    def ranking(self) -> Ranking:
        out = answer(6)
        out.events[:] = [7, 3, 9, 1, 4, 5]
        out.scores[:] = [0.8, 0.7, 0.6, 0.5, 0.3, 0.2]
        out.parts[:4, Part.COLLABORATIVE] = out.scores[:4]
        out.parts[4:, Part.POPULARITY] = out.scores[4:]
        out.contributions[:] = 0.1
        return Ranking(Held(out), self.n_personal, 6)

    def facts(self) -> Facts:
        return Facts(
            soonness=np.array([0.1, 0.1, 0.2, 1.0, 1.0, 1.0], np.float32),
            popularity=np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0], np.float32),
            venues=np.array([1, 1, 1, 2, -1, -1], np.int32),
            series=np.array([5, -1, 5, -1, -1, -1], np.int32),
        )


def arranged(wanted: Arrangement, n: int = 6, n_personal: int = 4) -> Ranking:
    site = Site(n_personal)
    return arrange(site.ranking(), wanted, site.facts(), n)


def test_where_nothing_is_wanted_a_ranking_stays_as_it_is():
    ranking = arranged(AS_RANKED, 5)

    assert ranking.events == [7, 3, 9, 1, 4]
    assert (ranking.n_personal, ranking.n) == (4, 5)


@pytest.mark.parametrize("n_personal", [4, 0])
@pytest.mark.parametrize("wanted", [Arrangement(soon=0.5), Arrangement(0.2, 0.3), Arrangement(popular=0.4)])
def test_scores_descend_and_their_parts_add_up_whatever_is_wanted(wanted, n_personal):
    out = arranged(wanted, n_personal=n_personal).answer

    assert out.scores.tolist() == sorted(out.scores.tolist(), reverse=True)
    np.testing.assert_allclose(out.parts.sum(axis=1), out.scores, rtol=1e-6)
    assert out.scores.max() <= 1.0


def test_what_is_on_soon_comes_first_but_not_before_what_is_personal():
    ranking = arranged(Arrangement(soon=0.5))

    assert ranking.events == [1, 7, 3, 9, 4, 5]
    assert ranking.answer.parts[0, Part.RECENCY] == np.float32(0.5)
    assert ranking.answer.parts[4, Part.RECENCY] == 0.0


def test_no_more_of_a_venue_or_a_series_are_named_than_is_wanted():
    assert arranged(Arrangement(most_per_venue=1)).events == [7, 1, 4, 5]
    assert arranged(Arrangement(most_per_venue=2)).events == [7, 3, 1, 4, 5]
    assert arranged(Arrangement(most_per_series=1)).events == [7, 3, 1, 4, 5]
    assert arranged(Arrangement(most_per_series=1), n=3).n_personal == 3


def test_the_arm_s_own_arrays_are_left_alone():
    site = Site()
    ranking = site.ranking()

    arrange(ranking, Arrangement(soon=0.5, most_per_venue=1), site.facts(), 6)

    assert ranking.answer.scores.tolist() == site.ranking().answer.scores.tolist()


def test_soonness_halves_in_a_week():
    starts = np.array([NOW - DAY, NOW, NOW + 7 * DAY, NOW + 14 * DAY])

    assert soonness(starts, NOW).tolist() == [1.0, 1.0, 0.5, 0.25]


def test_groups_are_the_features_of_a_kind_and_events_without_one_are_in_none():
    kinds = np.array([Kind.VENUE, Kind.GENRE, Kind.VENUE], np.uint8)
    content = index_content(
        pairs_from_lists([[0, 1], [1], [1, 2], []]), kinds, np.ones(4, np.uint8), ContentSettings()
    )

    groups = groups_of(content, np.array([2, 0, 9, 1, 3], np.int32), Kind.VENUE)

    assert groups.tolist() == [2, 0, -1, -1, -1]
