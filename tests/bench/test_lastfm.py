import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from bench import lastfm
from bench.lastfm_data import BANDS, load_listening, split_listening

PEOPLE, ARTISTS, TASTES = 80, 90, 3


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """People who listen to what has their tag; every artist is tagged by three, and once by somebody's note."""
    rng = np.random.default_rng(1)
    heard = [
        (person, 1000 + TASTES * number + person % TASTES, 5)
        for person in range(PEOPLE)
        for number in rng.choice(ARTISTS // TASTES, 24, replace=False).tolist()
    ]
    tagged = [(by, 1000 + artist, 7 + artist % TASTES) for artist in range(ARTISTS) for by in range(3)]
    tagged += [(9, 1000 + artist, 500 + artist) for artist in range(ARTISTS)]
    for name, header, rows in (
        ("user_artists", "userID,artistID,weight", heard),
        (
            "user_taggedartists",
            "userID,artistID,tagID,day,month,year",
            [(*row, 1, 4, 2009) for row in tagged],
        ),
    ):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt") as file:
            file.write("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return tmp_path


def test_a_split_knows_no_listener_of_new_artists_and_as_much_of_people_as_their_band_says(directory):
    data = load_listening(directory)
    assert data.tags.max() == TASTES - 1  # notes to oneself are no genres

    split = split_listening(data, 3)

    kept = np.diff(split.train.rows().indptr)
    for band, (least, most) in enumerate([(0, 0), (1, 4), (5, 20), (1, 20)]):
        assert set(kept[split.band == band].tolist()) <= set(range(least, most + 1)), BANDS[band]
    assert not np.isin(split.train.artists, np.flatnonzero(split.is_new)).any()
    assert split.is_new.sum() >= 0.2 * data.n_artists
    everything = split.train.artists.size + split.heard.indices.size + split.held_out.indices.size
    assert everything == data.artists.size
    again = split_listening(data, 3)
    assert np.array_equal(again.held_out.indices, split.held_out.indices)


def test_content_finds_new_artists_by_their_tags_where_popularity_knows_nothing_of_them(
    directory, capsys, monkeypatch
):
    monkeypatch.setattr(lastfm, "TAGS", (3,))
    monkeypatch.setattr(lastfm, "PIVOTS", (1.0,))

    assert lastfm.main([str(directory), "--json"]) == 0

    chosen, *lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert chosen == {"tags": 3, "pivot": 1.0}
    assert {line["arm"] for line in lines} == set(lastfm.ARMS)
    assert {line["people"] for line in lines} == {"everyone", *BANDS}
    found = {
        line["arm"]: line["ndcg@20"]
        for line in lines
        if (line["among"], line["people"]) == ("new", "everyone")
    }
    assert found["content_based"] > 1.5 * found["control"]
    for line in lines:
        low, high = line["interval"]
        assert low <= line["ndcg@20"] <= high
