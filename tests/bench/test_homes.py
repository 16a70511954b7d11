"""Homes are prepared by the service's own commands, kept while nothing changes, and never written to by a server."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import homes
from bench.homes import Home, HomeError, prepare_home, working_copy
from service.models import ModelRegistry


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of the test's own for what is kept; kernels are those of the other tests."""
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", os.environ.get("NUMBA_CACHE_DIR", ""))
    monkeypatch.setattr(homes, "RESULTS", tmp_path / "results")
    return homes.RESULTS


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A site of 40 people, each of whom likes ten of 60 events."""
    path = tmp_path / "tiny.npz"
    liked = np.sort(np.argsort(np.random.default_rng(3).random((40, 60)), axis=1)[:, :10], axis=1)
    np.savez(path, train_indptr=np.arange(0, 410, 10), train_indices=liked.ravel(), shape=np.array([40, 60]))
    return path


def test_a_home_has_a_published_model_of_the_file_and_is_kept(data: Path, results: Path) -> None:
    home = prepare_home(str(data))
    assert (home.data, home.n_users, home.n_events) == ("tiny.npz", 40, 60)
    model, facts = ModelRegistry(home.directory / "models").load()
    assert (len(model.users), len(model.events), facts["training_samples"]) == (40, 60, 400)
    made = (home.directory / "bench.json").stat().st_mtime_ns
    assert prepare_home(str(data)) == home
    assert (home.directory / "bench.json").stat().st_mtime_ns == made
    assert [entry.name for entry in results.iterdir()] == [home.directory.name]


def test_a_file_that_is_no_site_leaves_nothing_behind(tmp_path: Path, results: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, shape=np.array([1, 1]))
    with pytest.raises(HomeError, match=r"bad\.npz could not be prepared: .*train_indptr"):
        prepare_home(str(path))
    assert not list(results.glob("*"))


def test_what_a_server_writes_stays_out_of_the_home_but_for_its_kernels(results: Path) -> None:
    kept = results / "home"
    kept.mkdir(parents=True)
    (kept / "craic.db").write_text("as prepared")
    with working_copy(Home(kept, "tiny.npz", 40, 60)) as copy:
        assert (copy / "craic.db").read_text() == "as prepared"
        (copy / "craic.db").write_text("served")
        (copy / "cache" / "kernel").write_text("compiled")
    assert (kept / "craic.db").read_text() == "as prepared"
    assert (kept / "cache" / "kernel").read_text() == "compiled"
    assert list(results.iterdir()) == [kept]
