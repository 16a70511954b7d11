import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.sites import synthetic_site
from core.all_pairs import NearestRows, all_pairs_cosine
from core.sparse import Rows, no_pairs
from tests.strategies import matrices

pytest.importorskip("sparse_dot_topn", reason="the bench extra is not installed")

from bench.all_pairs import DIFFERENT, NOT_MEASURED, SAME, Peer, agreement, main, without_self
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = synthetic_site(120, 80, 900, seed=0)
    path = tmp_path / "site.npz"
    np.savez(path, train_indptr=rows.indptr, train_indices=rows.indices, shape=np.array([120, 80]))
    return path


def test_a_line_of_json_is_printed_for_each_number_of_threads(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file), "--json", "-k", "5", "--repeat", "1", "--threads", "1", "1"]) == SAME
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["threads"], line["k"], line["users"], line["entries"]) for line in lines] == [
        (1, 5, 120, 900)
    ] * 2
    assert all(line["same_similarities"] and line["ratio"] > 0 for line in lines)


def test_a_table_names_both_and_whether_they_agree(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "-k", "5", "--repeat", "1", "--threads", "1"]) == SAME
    printed = capsys.readouterr().out
    assert "top 5 of 120 users, 1 thread(s)" in printed
    assert "sparse_dot_topn" in printed
    assert "the same similarities" in printed


def test_answers_that_differ_make_the_run_fail(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bench.all_pairs.without_self", lambda product, k: nearest([[-1] * k] * 120, [[0.0] * k] * 120)
    )
    assert main([str(file), "--json", "-k", "5", "--repeat", "1", "--threads", "1"]) == DIFFERENT


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.npz")]) == NOT_MEASURED
    assert "none.npz" in capsys.readouterr().err
