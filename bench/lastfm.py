"""How well each arm ranks where much is new: `python -m bench.lastfm DIRECTORY [--json]`.

DIRECTORY holds the HetRec 2011 Last.fm data (`bench.lastfm_data`): people, artists as events, tags as genres. A fifth
of the artists lose all their listeners, a fifth of the people all their artists, another fifth all but 1–4, another
all but 5–20; the rest keep four fifths. Of people without any, a few artists are heard elsewhere only: the genres of
those are what their `spotify_genres` say. Everything else that a person listened to is to be found, among all artists,
and once more among the new artists alone, of which popularity says the same for each.

The settings of the content are chosen by the same procedure within what is left for training; the test part is looked
at once. One JSON line each: among (all or new), people (how many artists they have), arm, ndcg@20 with its bootstrap
interval, and the interval of the difference to the best of the other arms.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.lastfm_data import BANDS, Listening, Split, load_listening, split_listening
from bench.quality import fit
from core.bootstrap import percentile_interval, resampled_sums
from core.collaborative import CollaborativeSettings
from core.content import Content, index_content
from core.evaluation import per_user
from core.kernels.live import Profile
from core.live_site import LiveSite
from core.model import Model
from core.reasons import Part
from core.recommender import Ranking, Recommender
from core.sparse import Pairs, row_columns, rows_of
from core.tastes import NO_TASTE, ContentSettings, Kind, Taste

K = 20
SEED = 0
#: The settings tried: how many of an artist's tags count, those that most people gave, and from where on one is rare.
TAGS, PIVOTS = (3, 5, 10, 20), (0.5, 1.0, 2.0, 4.0)
#: How many genres a service that people listen with tells of them.
STATED = 10


class Case(NamedTuple):
    """One person as an arm sees them, and the artists it may choose from."""

    profile: Profile
    taste: Taste
    mask: NDArray[np.uint8]


#: From a recommender, the content, and a person to a ranking.
Arm = Callable[[Recommender, Content, Case], Ranking]


def _popular(recommender: Recommender, _: Content, case: Case) -> Ranking:
    return recommender.popular(case.mask, case.profile.excluded, K)


def _collaborative(recommender: Recommender, _: Content, case: Case) -> Ranking:
    return recommender.collaborative(case.profile, case.mask, K)


def _als(recommender: Recommender, _: Content, case: Case) -> Ranking:
    return recommender.als(case.profile, case.mask, K)


def _content(recommender: Recommender, content: Content, case: Case) -> Ranking:
    excluded = case.profile.excluded
    return recommender.content_based(content, case.taste, case.mask, excluded, K)


def _hybrid(recommender: Recommender, content: Content, case: Case) -> Ranking:
    return recommender.hybrid(case.profile, content, case.taste, case.mask, K)


ARMS: Mapping[str, Arm] = {
    "control": _popular,
    "collaborative_filtering": _collaborative,
    "content_based": _content,
    "als": _als,
    "hybrid": _hybrid,
}


def main(arguments: list[str] | None = None) -> int:
    """Choose on one split, measure on another, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.lastfm", description=__doc__.split("\n")[0])
    parser.add_argument(
        "directory", type=Path, help="where user_artists.csv.gz and user_taggedartists.csv.gz are"
    )
    parser.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options = parser.parse_args(arguments)
    data = load_listening(options.directory)
    split = split_listening(data, SEED)
    tags, settings = choose(split.train, SEED + 1)
    chosen = {"tags": tags, "pivot": settings.pivot}
    print(json.dumps(chosen) if options.json else f"chosen on held-out listening: {chosen}", flush=True)
    for line in measure(split, tags, settings):
        print(json.dumps(line) if options.json else _row(line), flush=True)
    return 0


def choose(train: Listening, seed: int) -> tuple[int, ContentSettings]:
    """The number of tags and the settings that find most of what is held out of `train`."""
    split = split_listening(train, seed)
    model = fit("content_based", split.train.rows(), train.n_artists, CollaborativeSettings())
    best, chosen = -1.0, (TAGS[0], ContentSettings())
    for tags, pivot in product(TAGS, PIVOTS):
        settings = ContentSettings(pivot=pivot)
        figures = ndcg_of("content_based", model, split, tags, settings, "all")
        if figures.mean() > best:
            best, chosen = float(figures.mean()), (tags, settings)
    return chosen


def measure(split: Split, tags: int, settings: ContentSettings) -> Iterator[dict[str, Any]]:
    """Every arm for all people and by band, among all artists and among the new ones."""
    model = fit("hybrid", split.train.rows(), split.train.n_artists, CollaborativeSettings())
    for among in ("all", "new"):
        found = {arm: ndcg_of(arm, model, split, tags, settings, among) for arm in ARMS}
        for name, is_meant in _bands(split):
            yield from _lines(among, name, {arm: figures[is_meant] for arm, figures in found.items()})


def ndcg_of(
    arm: str, model: Model, split: Split, tags: int, settings: ContentSettings, among: str
) -> NDArray[np.float64]:
    """float64[people]: NDCG@20 of everyone, NaN of those for whom there is nothing to find."""
    live = LiveSite(
        model.preferences.liked, model.neighbourhood, len(model.events), model.settings.collaborative
    )
    recommender = Recommender(
        live, model.popularity, model.factors, model.settings.als, settings, model.blend
    )
    rows, n_tags = split.train.tags_of_artists(tags)
    is_open = split.is_new if among == "new" else np.ones(split.train.n_artists, np.bool_)
    content = index_content(rows, np.full(n_tags, Kind.GENRE, np.uint8), is_open.astype(np.uint8), settings)
    mask = np.zeros(live.event_room, np.uint8)
    mask[: is_open.size] = is_open
    test = split.test(among == "new")
    people = np.flatnonzero(np.diff(test.indptr)).astype(np.int32)
    ranked = np.full((people.size, K), -1, np.int32)
    for line, person in enumerate(people.tolist()):
        liked, weights = live.liked(person)
        excluded = np.concatenate((liked, row_columns(split.heard, person)))
        profile = Profile(liked, weights, excluded, person)
        taste = recommender.content.taste(content, profile, _stated(split, rows, n_tags, person, settings))
        ranking = ARMS[arm](recommender, content, Case(profile, taste, mask))
        ranked[line, : ranking.n] = ranking.events
    figures = np.full(test.n_rows, np.nan)
    figures[people] = per_user(ranked, rows_of(test, people), K).ndcg
    return figures


def _stated(split: Split, rows: Pairs, n_tags: int, person: int, settings: ContentSettings) -> Taste:
    """The genres that a person heard elsewhere most often, as a service they listen with tells them."""
    heard = row_columns(split.heard, person)
    if heard.size == 0:
        return NO_TASTE
    counts = np.bincount(np.concatenate([row_columns(rows, artist) for artist in heard]), minlength=n_tags)
    best = np.argsort(-counts, kind="stable")[:STATED]
    tops: NDArray[np.int32] = best[counts[best] > 0].astype(np.int32)
    weights = np.full(tops.size, settings.statement, np.float32)
    return Taste(tops, weights, np.full(tops.size, Part.SPOTIFY_GENRE, np.uint8))


def _bands(split: Split) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "everyone", np.ones(split.band.size, np.bool_)
    for band, name in enumerate(BANDS):
        yield name, split.band == band


def _lines(among: str, people: str, figures: Mapping[str, NDArray[np.float64]]) -> Iterator[dict[str, Any]]:
    values = np.array(list(figures.values()))
    values = values[:, ~np.isnan(values).any(axis=0)]
    n_people = values.shape[1]
    means = values.mean(axis=1)
    resampled = resampled_sums(values, SEED) / n_people
    for which, arm in enumerate(figures):
        others = [other for other in range(means.size) if other != which]
        rival = max(others, key=lambda other: means[other])
        yield {
            "among": among,
            "people": people,
            "n": n_people,
            "arm": arm,
            f"ndcg@{K}": round(float(means[which]), 4),
            "interval": _rounded(percentile_interval(resampled[which])),
            "times_control": round(float(means[which] / means[0]), 2) if means[0] > 0 else None,
            "less_best_other": _rounded(percentile_interval(resampled[which] - resampled[rival])),
        }


def _rounded(values: tuple[float, float]) -> list[float]:
    return [round(value, 4) for value in values]


def _row(line: dict[str, Any]) -> str:
    low, high = line["interval"]
    return (
        f"{line['among']:<4} {line['people']:<9} {line['n']:>5}  {line['arm']:<24} ndcg@20 {line[f'ndcg@{K}']:.4f}"
        f" ({low:.4f} to {high:.4f})  {line['times_control']} × popularity"
    )


if __name__ == "__main__":
    sys.exit(main())
