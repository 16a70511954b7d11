"""The HetRec 2011 Last.fm data: who listened to which artist, and which tags people gave to artists.

`user_artists.csv.gz` (userID, artistID, weight) and `user_taggedartists.csv.gz` (userID, artistID, tagID, …).
Cantador, Brusilovsky & Kuflik, HetRec 2011.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.sparse import Pairs, Rows

#: How many artists people keep, by band; of the last, four fifths.
BANDS = ("0", "1-4", "5-20", "more")
_FEWEST, _MOST = (0, 1, 5), (0, 4, 20)
_BAND_SHARES = (0.2, 0.2, 0.2, 0.4)
NEW_SHARE, KEPT_SHARE = 0.2, 0.8
#: Of people who keep nothing, how many artists are heard elsewhere.
HEARD_ELSEWHERE = 10
#: A tag that fewer people use is a note to themselves.
FEWEST_TAGGERS = 3
FULL = 255

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Listening:
    """Pairs of person and artist, and of artist and tag with how many people gave it; all numbered from 0."""

    n_people: int
    n_artists: int
    people: Ints
    artists: Ints
    tagged: Ints  #: artists
    tags: Ints
    taggers: Ints

    def rows(self) -> Rows:
        """Who listens to whom, all to the full."""
        pairs = pairs_of(self.people, self.artists, self.n_people)
        return Rows(pairs.indptr, pairs.indices, np.full(pairs.indices.size, FULL, np.uint8))

    def tags_of_artists(self, most: int) -> tuple[Pairs, int]:
        """The tags of each artist that most people gave it, at most so many, and how many tags there are."""
        order = np.lexsort((self.tags, -self.taggers, self.tagged))
        artists = self.tagged[order]
        first = np.searchsorted(artists, np.arange(self.n_artists))
        kept = order[np.arange(order.size) - first[artists] < most]
        n_tags = int(self.tags.max()) + 1
        return pairs_of(self.tagged[kept], self.tags[kept], self.n_artists), n_tags


@dataclass(frozen=True)
class Split:
    """What is known, what is to be found, and what a service that people listen with knows of them."""

    train: Listening
    band: Ints  #: [people], into BANDS
    is_new: NDArray[np.bool_]  #: [artists], whether nobody is known to listen to them
    heard: Pairs
    held_out: Pairs

    def test(self, only_new: bool) -> Pairs:
        """The artists that each person should be shown."""
        people = np.repeat(np.arange(self.held_out.n_rows), np.diff(self.held_out.indptr))
        artists = self.held_out.indices.astype(np.int64)
        is_meant = self.is_new[artists] if only_new else np.ones(artists.size, np.bool_)
        return pairs_of(people[is_meant], artists[is_meant], self.held_out.n_rows)


def load_listening(directory: Path) -> Listening:
    """The data of a directory. OSError or ValueError when a file cannot be read."""
    heard = np.loadtxt(directory / "user_artists.csv.gz", np.int64, delimiter=",", skiprows=1)
    tagged = np.loadtxt(
        directory / "user_taggedartists.csv.gz", np.int64, delimiter=",", skiprows=1, usecols=(0, 1, 2)
    )
    user_ids, people = np.unique(heard[:, 0], return_inverse=True)
    artist_ids, artists = np.unique(heard[:, 1], return_inverse=True)
    tagged = tagged[np.isin(tagged[:, 1], artist_ids)]
    uses = np.unique(tagged[:, [0, 2]], axis=0)[:, 1]
    tag_ids = np.flatnonzero(np.bincount(uses) >= FEWEST_TAGGERS)
    tagged = tagged[np.isin(tagged[:, 2], tag_ids)]
    pairs, taggers = np.unique(tagged[:, 1:], axis=0, return_counts=True)
    return Listening(
        n_people=user_ids.size,
        n_artists=artist_ids.size,
        people=people,
        artists=artists,
        tagged=np.searchsorted(artist_ids, pairs[:, 0]),
        tags=np.searchsorted(tag_ids, pairs[:, 1]),
        taggers=taggers,
    )


def split_listening(data: Listening, seed: int) -> Split:
    """Draw new artists, bands of people and what they keep; the same for the same seed."""
    rng = np.random.default_rng(seed)
    is_new = np.zeros(data.n_artists, np.bool_)
    known = np.unique(data.artists)
    is_new[rng.choice(known, int(NEW_SHARE * known.size), replace=False)] = True
    band = rng.choice(len(BANDS), data.n_people, p=_BAND_SHARES)
    old = np.flatnonzero(~is_new[data.artists])
    old = old[np.lexsort((rng.random(old.size), data.people[old]))]
    people = data.people[old]
    place = np.arange(old.size) - np.searchsorted(people, people)
    kept = _kept(rng, band, np.bincount(people, minlength=data.n_people))
    is_kept = place < kept[people]
    is_heard = (band[people] == 0) & (place < HEARD_ELSEWHERE)
    is_held_out = np.ones(data.people.size, np.bool_)
    is_held_out[old[is_kept | is_heard]] = False
    known_pairs, heard = old[is_kept], old[is_heard]
    train = Listening(
        *(data.n_people, data.n_artists, data.people[known_pairs], data.artists[known_pairs]),
        *(data.tagged, data.tags, data.taggers),
    )
    return Split(
        train,
        band,
        is_new | (np.bincount(train.artists, minlength=data.n_artists) == 0),
        heard=pairs_of(data.people[heard], data.artists[heard], data.n_people),
        held_out=pairs_of(data.people[is_held_out], data.artists[is_held_out], data.n_people),
    )


def pairs_of(rows: Ints, columns: Ints, n_rows: int) -> Pairs:
    """Pairs as a sparse matrix."""
    order = np.lexsort((columns, rows))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=n_rows)))).astype(np.int64)
    return Pairs(indptr, columns[order].astype(np.int32))


def _kept(rng: np.random.Generator, band: Ints, counts: Ints) -> Ints:
    """How many artists everyone keeps of so many."""
    few = np.minimum(band, len(_FEWEST) - 1)
    drawn = rng.integers(np.array(_FEWEST)[few], np.array(_MOST)[few] + 1)
    return np.where(band == len(BANDS) - 1, (KEPT_SHARE * counts).astype(np.int64), np.minimum(drawn, counts))
