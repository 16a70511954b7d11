"""How well each arm ranks: `python -m bench.quality [FILE.npz] [--json]`.

FILE holds a training and a test split (`bench.sites`). For each arm that uses it the settings of the neighbourhood are
chosen on interactions held out of the training split, and so are the weights of the blend, by the same procedure for
every file; those of the factors are the same for all. The test split is looked at once, at the end.
Every arm runs in a process of its own, so that its peak memory is its own.

One JSON line an arm: arm, recall@20, ndcg@20, fit_seconds (with the chosen settings), tune_seconds (the choosing),
microseconds_per_user (one thread, ranking all unseen events), peak_memory_mb (of the fit and the ranking), settings.
"""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from bench.sites import Site, load_site
from core.actions import ActionWeights
from core.als import AlsSettings, no_factors
from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.evaluation import summarise
from core.hybrid import default_blend
from core.interactions import InteractionLog, Preferences
from core.model import Model, ModelSettings
from core.popularity import PopularitySettings, fit_popularity
from core.sparse import Rows, entry_rows, no_pairs, rows_of
from core.vocabulary import Vocabulary
from training.als import fit_factors
from training.blending import learn_blend
from training.ranking import ARMS, BY_LIKES
from training.tuning import Tuned, tune_for_blend, tune_neighbourhood

K = 20
WITH_FACTORS = frozenset({"als", "hybrid"})


def main(arguments: list[str] | None = None) -> int:
    """Measure every arm, or the one named by --arm."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__.split("\n")[0])
    parser.add_argument(
        "file", nargs="?", help="an .npz with a training and a test split; a synthetic site without"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    parser.add_argument("--arm", choices=BY_LIKES, help="this arm only, in this process")
    parser.add_argument("--settings", help="settings of the neighbourhood as JSON, instead of choosing them")
    options = parser.parse_args(arguments)
    if options.arm:
        settings = CollaborativeSettings(**json.loads(options.settings or "{}"))
        print(json.dumps(measure(load_site(options.file), options.arm, settings)))
        return 0
    for arm in BY_LIKES:
        chosen, seconds = _choose(options, arm)
        command = [sys.executable, "-m", "bench.quality", "--arm", arm, "--settings", json.dumps(chosen)]
        if options.file:
            command.append(options.file)
        line = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        line["tune_seconds"] = round(seconds, 1)
        print(json.dumps(line) if options.json else _row(line), flush=True)
    return 0


def _choose(options: argparse.Namespace, arm: str) -> tuple[dict[str, Any], float]:
    """The settings of the neighbourhood for an arm that uses it, and the seconds it took to choose them."""
    if options.settings or arm not in CHOSEN_FOR:
        return json.loads(options.settings or "{}"), 0.0
    started = perf_counter()
    site = load_site(options.file)
    tuned = CHOSEN_FOR[arm](site, lambda text: print(text, file=sys.stderr))
    return asdict(tuned.settings), perf_counter() - started


def _for_neighbourhood(site: Site, progress: Callable[[str], None]) -> Tuned:
    return tune_neighbourhood(site.train, site.n_events, CollaborativeSettings(), progress=progress)


def _for_blend(site: Site, progress: Callable[[str], None]) -> Tuned:
    return tune_for_blend(
        site.train, site.n_events, CollaborativeSettings(), AlsSettings(), progress=progress
    )


CHOSEN_FOR = {"collaborative_filtering": _for_neighbourhood, "hybrid": _for_blend}


def measure(site: Site, arm: str, settings: CollaborativeSettings) -> dict[str, Any]:
    """Fit one arm on the training split and judge it on the test split."""
    warm_up(arm)
    started = perf_counter()
    model = fit(arm, site.train, site.n_events, settings)
    fit_seconds = perf_counter() - started
    people = np.flatnonzero(np.diff(site.test.indptr)).astype(np.int32)
    started = perf_counter()
    ranked = ARMS[arm](model, people, np.ones(site.n_events, np.uint8), K)
    seconds = perf_counter() - started
    popularity = np.bincount(site.train.indices, minlength=site.n_events)
    metrics = summarise(ranked, rows_of(site.test, people), K, popularity, site.train.n_rows)
    return {
        "arm": arm,
        "recall@20": round(metrics.recall, 4),
        "ndcg@20": round(metrics.ndcg, 4),
        "coverage": round(metrics.coverage, 4),
        "novelty": round(metrics.novelty, 2),
        "fit_seconds": round(fit_seconds, 2),
        "microseconds_per_user": round(seconds / people.size * 1e6, 1),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "users": metrics.users,
        "settings": asdict(settings) if arm in CHOSEN_FOR else {},
    }


def fit(arm: str, train: Rows, n_events: int, settings: CollaborativeSettings) -> Model:
    """A model of rows without times for one arm: popularity counts all alike, preferences are what the rows say."""
    users = Vocabulary.from_ids(map(str, range(train.n_rows)))
    events = Vocabulary.from_ids(map(str, range(n_events)))
    log = InteractionLog(
        entry_rows(train),
        train.indices,
        np.zeros(train.indices.size, np.int8),
        np.full(train.indices.size, np.nan),
    )
    popularity = fit_popularity(
        log,
        n_events,
        np.full(n_events, -1, np.int32),
        np.full(n_events, np.nan),
        PopularitySettings(),
        ActionWeights(),
        0.0,
    )
    nothing = no_pairs(train.n_rows)
    of_all = ModelSettings(collaborative=settings)
    neighbourhood = fit_neighbourhood(train, n_events, settings)
    return Model(
        version="bench",
        settings=of_all,
        users=users,
        events=events,
        preferences=Preferences(train, nothing),
        neighbourhood=neighbourhood,
        popularity=popularity,
        saved=nothing,
        hidden=nothing,
        factors=fit_factors(train, neighbourhood, of_all.als) if arm in WITH_FACTORS else no_factors(),
        blend=learn_blend(train, n_events, settings, of_all.als) if arm == "hybrid" else default_blend(),
    )


def warm_up(arm: str) -> None:
    """Compile, or load from the cache, before anything is timed."""
    rows = Rows(np.array([0, 2, 4], np.int64), np.array([0, 1, 0, 2], np.int32), np.full(4, 255, np.uint8))
    tiny = fit(arm, rows, 3, CollaborativeSettings())
    ARMS[arm](tiny, np.array([0], np.int32), np.ones(3, np.uint8), 2)


def _row(line: dict[str, Any]) -> str:
    return (
        f"{line['arm']:<26} recall@20 {line['recall@20']:.4f}  ndcg@20 {line['ndcg@20']:.4f}  "
        f"fit {line['fit_seconds']:.2f} s  {line['microseconds_per_user']:.0f} µs a user  "
        f"{line['peak_memory_mb']:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
