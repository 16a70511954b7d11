"""What a score is made of: the kinds of its parts, which an answer names to the person it is for."""

from enum import IntEnum


class Part(IntEnum):
    """A kind of part of a score; the parts of a score add up to it.

    The values index `core.kernels.workspace.Answer.parts`. In an answer a part goes by its name in lower case.
    """

    COLLABORATIVE = 0  #: what people with the same taste like, by any model of that
    POPULARITY = 1
    GENRE_MATCH = 2
    TAG_MATCH = 3
    ARTIST_MATCH = 4
    VENUE_MATCH = 5
    SERIES_MATCH = 6
    SPOTIFY_GENRE = 7
    SPOTIFY_ARTIST = 8
    SOUNDCLOUD_GENRE = 9
    SOUNDCLOUD_ARTIST = 10
    YOUTUBE_GENRE = 11
    YOUTUBE_ARTIST = 12
    CITY_MATCH = 13
    DAY_MATCH = 14  #: weekday and time of day
    BUDGET_MATCH = 15
    RECENCY = 16  #: how soon the event is
    DISTANCE_MATCH = 17  #: from where a person goes out


#: How many kinds of parts there are.
PARTS = len(Part)
