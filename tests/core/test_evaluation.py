import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation import per_user, summarise
from core.sparse import Pairs
from tests.strategies import pairs_from_lists, sets_of

N_EVENTS = 5


def rankings(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


# --- by hand ---


def test_a_ranking_worked_by_hand() -> None:
    # Relevant are 1, 2, 7; places 1 and 3 of four hit.
    scores = per_user(rankings([1, 0, 2, 5]), pairs_from_lists([[1, 2, 7]]), k=4)
    assert scores.precision.tolist() == [2 / 4]
    assert scores.recall.tolist() == [2 / 3]
    assert scores.average_precision == pytest.approx([(1 / 1 + 2 / 3) / 3])
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert scores.ndcg == pytest.approx([(1 + 1 / math.log2(4)) / ideal])
    assert scores.hit.tolist() == [1.0]


def test_more_relevant_events_than_places_do_not_make_a_perfect_ranking_impossible() -> None:
    scores = per_user(rankings([3, 1]), pairs_from_lists([[0, 1, 2, 3]]), k=2)
    assert (scores.ndcg.tolist(), scores.average_precision.tolist()) == ([1.0], [1.0])
    assert scores.recall.tolist() == [0.5]


def test_only_the_first_k_places_count() -> None:
    scores = per_user(rankings([0, 1, 2]), pairs_from_lists([[2]]), k=2)
    assert scores.hit.tolist() == scores.ndcg.tolist() == scores.recall.tolist() == [0.0]


def test_padding_never_hits_but_costs_precision() -> None:
    scores = per_user(rankings([4, -1, -1, -1]), pairs_from_lists([[4]]), k=4)
    assert (scores.precision.tolist(), scores.ndcg.tolist()) == ([0.25], [1.0])


def test_people_without_relevant_events_are_left_out_and_counted() -> None:
    ranked = rankings([0], [1], [2])
    scores = per_user(ranked, pairs_from_lists([[], [1], [0]]), k=1)
    assert scores.users.tolist() == [1, 2]
    metrics = summarise(ranked, pairs_from_lists([[], [1], [0]]), 1, np.ones(4, np.int64), n_people=4)
    assert (metrics.users, metrics.users_left_out, metrics.precision) == (2, 1, 0.5)


def test_coverage_and_novelty_worked_by_hand() -> None:
    popularity = np.array([8, 4, 0, 1], np.int64)
    metrics = summarise(rankings([0, 1], [0, 2]), pairs_from_lists([[0], [1]]), 2, popularity, n_people=16)
    assert metrics.coverage == 3 / 4
    # −log2 of 8/16, 4/16, 8/16 and, for what nobody liked yet, 1/16.
    assert metrics.novelty == pytest.approx((1 + 2 + 1 + 4) / 4)


def test_an_empty_ranking_scores_nothing_and_is_not_novel() -> None:
    metrics = summarise(rankings([-1, -1]), pairs_from_lists([[0]]), 2, np.ones(3, np.int64), n_people=2)
    assert (metrics.recall, metrics.coverage, metrics.novelty) == (0.0, 0.0, 0.0)


def test_metrics_go_by_the_names_of_the_contract() -> None:
    metrics = summarise(
        rankings([*range(10)]), pairs_from_lists([[0]]), 10, np.ones(10, np.int64), n_people=2
    )
    assert metrics.as_dict() == {
        "precision_at_10": 0.1,
        "recall_at_10": 1.0,
        "ndcg_at_10": 1.0,
        "map": 1.0,
        "hit_rate_at_10": 1.0,
        "coverage": 1.0,
        "novelty": 1.0,
        "users": 1,
        "users_left_out": 0,
    }
    assert all(type(value) in (int, float) for value in asdict(metrics).values())


# --- against the readable twin ---


@st.composite
def judged(draw: st.DrawFn) -> tuple[np.ndarray, Pairs, int]:
    """Rankings with padding anywhere, what was relevant, and k."""
    width = draw(st.integers(1, N_EVENTS))
    n_people = draw(st.integers(1, 4))
    ranked = np.full((n_people, width), -1, np.int32)
    lists = []
    for i in range(n_people):
        shown = draw(st.permutations(range(N_EVENTS)))[:width]
        padded = draw(st.sets(st.integers(0, width - 1), max_size=2))
        ranked[i] = [-1 if place in padded else event for place, event in enumerate(shown)]
        lists.append(draw(st.lists(st.integers(0, N_EVENTS - 1), unique=True)))
    return ranked, pairs_from_lists(lists), draw(st.integers(1, width))


@given(judged())
def test_every_measure_equals_its_definition(case: tuple[np.ndarray, Pairs, int]) -> None:
    ranked, relevant, k = case
    scores = per_user(ranked, relevant, k)
    wanted = sets_of(relevant)
    assert scores.users.tolist() == [i for i, events in enumerate(wanted) if events]
    for place, user in enumerate(scores.users):
        expected = slow_scores(ranked[user].tolist()[:k], wanted[user], k)
        found = [
            getattr(scores, name)[place]
            for name in ("precision", "recall", "ndcg", "average_precision", "hit")
        ]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        assert all(0 <= value <= 1 + 1e-12 for value in found)


@given(judged(), st.lists(st.integers(0, 9), min_size=N_EVENTS, max_size=N_EVENTS))
def test_a_summary_is_the_mean_over_people(
    case: tuple[np.ndarray, Pairs, int], popularity: list[int]
) -> None:
    ranked, relevant, k = case
    scores = per_user(ranked, relevant, k)
    if scores.users.size == 0:
        with pytest.raises(ValueError, match=r"^relevant: nobody"):
            summarise(ranked, relevant, k, np.array(popularity), n_people=10)
        return
    metrics = summarise(ranked, relevant, k, np.array(popularity), n_people=10)
    assert metrics.ndcg == pytest.approx(scores.ndcg.mean())
    assert metrics.mean_average_precision == pytest.approx(scores.average_precision.mean())
    assert metrics.hit_rate == pytest.approx(scores.hit.mean())
    shown = [event for user in scores.users for event in ranked[user, :k].tolist() if event >= 0]
    assert metrics.coverage == len(set(shown)) / N_EVENTS
    bits = [-math.log2(max(popularity[event], 1) / 10) for event in shown]
    assert metrics.novelty == pytest.approx(sum(bits) / len(bits) if bits else 0.0)


def slow_scores(ranking: list[int], relevant: set[int], k: int) -> list[float]:
    hits = [event in relevant for event in ranking]
    reachable = min(k, len(relevant))
    dcg = sum(1 / math.log2(place + 1) for place, hit in enumerate(hits, 1) if hit)
    ideal = sum(1 / math.log2(place + 1) for place in range(1, reachable + 1))
    precisions = [sum(hits[:place]) / place for place, hit in enumerate(hits, 1) if hit]
    return [
        sum(hits) / k,
        sum(hits) / len(relevant),
        dcg / ideal,
        sum(precisions) / reachable,
        float(any(hits)),
    ]


# --- what is refused ---


@pytest.mark.parametrize(
    ("ranked", "k", "complaint"),
    [
        (np.zeros((1, 2), np.int64), 1, "ranked: expected two dimensions of int32, got 2 of int64"),
        (np.zeros(2, np.int32), 1, "ranked: expected two dimensions of int32, got 1 of int32"),
        (np.zeros((3, 2), np.int32), 1, "ranked: 3 rankings for 1 people"),
        (np.zeros((1, 2), np.int32), 0, r"k: 0 is outside 1\.\.2"),
        (np.zeros((1, 2), np.int32), 3, r"k: 3 is outside 1\.\.2"),
        (np.zeros((1, 2), np.int32), 2, "ranked: row 0 holds an event twice"),
        (np.full((1, 2), 9, np.int32), 1, r"ranked: event 9 is outside 0\.\.4"),
    ],
)
def test_rankings_that_cannot_be_judged_are_refused(ranked: np.ndarray, k: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=rf"^{complaint}"):
        summarise(ranked, pairs_from_lists([[0]]), k, np.ones(N_EVENTS, np.int64), n_people=1)
