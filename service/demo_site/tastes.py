"""What the people of the demo say of their tastes: a part of those with a history, and newcomers who have none."""

import numpy as np

from service.demo_site.people import PEOPLE, People, make_people
from service.demo_site.places import CITIES, GENRES
from service.demo_site.programme import Artists
from service.importing.tastes import TasteRow

#: People who have done nothing yet; their ids follow those of the others.
NEWCOMERS = 200
#: Of people with a history, who filled in their preferences, and who let the site read their Spotify.
PREFERENCES_SHARE, SPOTIFY_SHARE = 0.3, 0.3
_BUDGETS, _NIGHTS = (10.0, 20.0, 30.0, 50.0), ("friday", "saturday", "thursday")
_TOLD_GENRES, _HEARD_GENRES, _HEARD_ARTISTS = 2, 4, 8


def make_tastes(rng: np.random.Generator, people: People, artists: Artists) -> list[TasteRow]:
    """Draw what is stated; `rng` is one of its own, so that the rest of the site does not depend on it."""
    newcomers = make_people(rng)
    rows = [
        _row(
            rng,
            person,
            person,
            people,
            artists,
            *(rng.random(2) < (PREFERENCES_SHARE, SPOTIFY_SHARE)).tolist(),
        )
        for person in range(PEOPLE)
    ]
    rows += [
        _row(rng, PEOPLE + person, person, newcomers, artists, True, person % 2 == 0)
        for person in range(NEWCOMERS)
    ]
    return [row for row in rows if row.preferences or row.listening]


def _row(
    rng: np.random.Generator,
    number: int,
    person: int,
    people: People,
    artists: Artists,
    tells: bool,
    is_heard: bool,
) -> TasteRow:
    tastes = people.genres[person]
    best = np.argsort(-tastes, kind="stable")
    names = [GENRES[genre].name for genre in best.tolist()]
    told = (
        tuple(names[:_TOLD_GENRES]),
        (CITIES[people.city[person]].name,),
        float(rng.choice(_BUDGETS)),
        (str(rng.choice(_NIGHTS)),),
    )
    liking = np.log(tastes + 0.02)[artists.genre] + artists.character @ people.character[person] / 2.0
    tops = np.argsort(-liking - rng.gumbel(size=liking.size), kind="stable")[:_HEARD_ARTISTS]
    heard = (tuple(artists.names[artist] for artist in tops.tolist()), tuple(names[:_HEARD_GENRES]))
    return TasteRow(number + 1, told if tells else None, heard if is_heard else None)
