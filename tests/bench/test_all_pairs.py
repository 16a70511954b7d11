import numba
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.sites import synthetic_site
from core.all_pairs import NearestRows, all_pairs_cosine
from core.sparse import Rows, no_pairs
from tests.strategies import matrices

pytest.importorskip("sparse_dot_topn", reason="the bench extra is not installed")

from bench.all_pairs import Peer, Plan, agreement, measure_pairs, measure_two_threads, without_self
from bench.figures import Findings
from bench.homes import HomeError
from bench.sites import Site


@given(matrices(), st.integers(1, 10))
def test_both_find_the_same_similarities(matrix: tuple[Rows, int], k: int) -> None:
    rows, n_columns = matrix
    assume(rows.n_rows > 0 and n_columns > 0)
    peer = Peer(Site(n_columns, rows, no_pairs(rows.n_rows)))
    theirs = without_self(peer.product(k + 1, 1), k)
    assert agreement(all_pairs_cosine(rows, n_columns, k), theirs)["same_similarities"]


def nearest(indices: list[list[int]], similarities: list[list[float]]) -> NearestRows:
    return NearestRows(np.array(indices, np.int32), np.array(similarities, np.float32))


def test_answers_agree_when_only_equally_similar_users_differ() -> None:
    ours = nearest([[1, 2], [0, -1]], [[0.5, 0.25], [0.5, 0.0]])
    theirs = nearest([[1, 3], [0, -1]], [[0.5, 0.25], [0.5, 0.0]])
    assert agreement(ours, theirs) == {"same_similarities": True, "same_neighbours": round(2 / 3, 4)}


def test_answers_differ_when_a_similarity_does() -> None:
    ours = nearest([[1, 2]], [[0.5, 0.25]])
    theirs = nearest([[1, -1]], [[0.5, 0.0]])
    assert agreement(ours, theirs) == {"same_similarities": False, "same_neighbours": 0.5}


def small_site() -> Site:
    return Site(80, synthetic_site(120, 80, 900, seed=0), no_pairs(120))


def test_every_contestant_is_timed_and_ours_has_its_cost() -> None:
    findings = Findings()
    measure_pairs(small_site(), findings, Plan(rounds=2, slow=True))
    assert {figure.subject for figure in findings.figures if figure.name == "seconds"} == {
        "ours",
        "sparse_dot_topn",
        "implicit",
        "SciPy, no top k",
        "scikit-learn",
    }
    (cost,) = [figure for figure in findings.figures if figure.name.startswith("cost")]
    assert (cost.subject, len(cost.blocks[0])) == ("ours", 2)


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="this machine has one core")
def test_on_two_threads_ours_is_timed_beside_sparse_dot_topn(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    measure_two_threads(small_site(), findings, Plan(rounds=2, slow=False))
    assert {figure.subject for figure in findings.figures if figure.name == "seconds"} == {
        "ours, two threads",
        "sparse_dot_topn, two threads",
    }
    assert [figure.subject for figure in findings.figures if figure.name == "time_to_sparse_dot_topn"] == [
        "ours, two threads"
    ]


def test_on_one_core_nothing_is_timed_on_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = Findings()
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    measure_two_threads(small_site(), findings, Plan(rounds=2, slow=False))
    assert not findings.figures and findings.notes


def test_answers_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bench.all_pairs.without_self", lambda product, k: nearest([[-1] * k] * 120, [[0.0] * k] * 120)
    )
    with pytest.raises(HomeError, match="different similarities"):
        measure_pairs(small_site(), Findings(), Plan(rounds=1, slow=False))
