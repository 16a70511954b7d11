"""The texts of an answer that are the same for every event, as one block that the encoder copies from."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from core.kernels.text import SLACK
from core.reasons import PARTS, Part


class Piece(IntEnum):
    """The fixed texts between the variable ones."""

    OPEN, SCORE, RANK_SCORE, CONFIDENCE, REASON, A_FEW, PEOPLE, ABOVE_ALL, AND, END_QUOTE = range(10)
    BECAUSE_YOU_LIKED, YOUR_TASTE, POPULAR, NEW, RANK_REASONS, NEXT_REASON, CLOSE_REASONS = range(10, 17)
    ALGORITHM, BY_POPULARITY, BECAUSE, CAUSE, CAUSE_TITLE, WEIGHT, SHARE, CLOSE, COMMA = range(17, 26)
    OTHER, OTHER_WEIGHT, NO_OTHER, NEIGHBOURS, NULL = range(26, 31)
    OPEN_LIST, QUOTE, NEXT_QUOTE, CLOSE_LIST = range(31, 35)


_TEXTS: dict[Piece, str] = {
    Piece.OPEN: "{",
    Piece.SCORE: ',"score":',
    Piece.RANK_SCORE: ',"rank_score":',
    Piece.CONFIDENCE: ',"confidence":',
    Piece.REASON: ',"reason":"',
    Piece.A_FEW: "A few",
    Piece.PEOPLE: " people with your taste like this",
    Piece.ABOVE_ALL: ", above all those who also liked “",
    Piece.AND: "” and “",
    Piece.END_QUOTE: "”",
    Piece.BECAUSE_YOU_LIKED: "Because you liked “",
    Piece.YOUR_TASTE: "Fits what you liked before",
    Piece.POPULAR: "Popular ",
    Piece.NEW: "Newly listed ",
    Piece.RANK_REASONS: '","rank_reasons":[{"type":"',
    Piece.NEXT_REASON: '},{"type":"',
    Piece.CLOSE_REASONS: "}]",
    Piece.ALGORITHM: ',"algorithm":"',
    Piece.BY_POPULARITY: "popularity",
    Piece.BECAUSE: '","because":[',
    Piece.CAUSE: '{"event_id":"',
    Piece.CAUSE_TITLE: '","title":"',
    Piece.WEIGHT: '","weight":',
    Piece.SHARE: ',"share":',
    Piece.CLOSE: "}",
    Piece.COMMA: ",",
    Piece.OTHER: '],"because_other":{"events":',
    Piece.OTHER_WEIGHT: ',"weight":',
    Piece.NO_OTHER: '],"because_other":null',
    Piece.NEIGHBOURS: ',"neighbours":',
    Piece.NULL: "null",
    Piece.OPEN_LIST: "[",
    Piece.QUOTE: '"',
    Piece.NEXT_QUOTE: ',"',
    Piece.CLOSE_LIST: "]",
}

#: The reason where a part of content is the greatest: before and after the label of the feature, and without one.
SENTENCES: dict[Part, tuple[str, str, str]] = {
    Part.GENRE_MATCH: ("Because you like ", "", "Of a genre you like"),
    Part.TAG_MATCH: ("Because you like ", "", "Like what you went for before"),
    Part.ARTIST_MATCH: ("Because you like ", "", "With an artist you like"),
    Part.VENUE_MATCH: ("More at ", "", "At a venue you like"),
    Part.SERIES_MATCH: ("More of ", "", "Of a series you like"),
    Part.SPOTIFY_GENRE: ("Because you listen to ", " on Spotify", "Of a genre you listen to on Spotify"),
    Part.SPOTIFY_ARTIST: ("Because you listen to ", " on Spotify", "With an artist of your Spotify"),
    Part.SOUNDCLOUD_GENRE: (
        "Because you listen to ",
        " on SoundCloud",
        "Of a genre you listen to on SoundCloud",
    ),
    Part.SOUNDCLOUD_ARTIST: ("Because you listen to ", " on SoundCloud", "With an artist of your SoundCloud"),
    Part.YOUTUBE_GENRE: ("Because you watch ", " on YouTube", "Of a genre you watch on YouTube"),
    Part.YOUTUBE_ARTIST: ("Because you watch ", " on YouTube", "With an artist of your YouTube"),
    Part.CITY_MATCH: ("More in ", "", "In a city you go out in"),
    Part.DAY_MATCH: ("Because you go out on ", "", "At a time you like to go out"),
    Part.BUDGET_MATCH: ("Within your budget: ", "", "Within your budget"),
    Part.DISTANCE_MATCH: ("", "", "Close to where you go out"),
    Part.RECENCY: ("On soon: ", "", "On soon"),
}

#: Where the texts of the parts begin among the pieces: a name each, then a sentence of three texts each.
NAMES = len(Piece)
BEFORE, AFTER, ALONE = 0, 1, 2
FIRST_SENTENCE = NAMES + PARTS


def _texts() -> list[str]:
    names = [part.name.lower() for part in Part]
    sentences = [text for part in Part for text in SENTENCES.get(part, ("", "", ""))]
    return [*(_TEXTS[piece] for piece in Piece), *names, *sentences]


#: All texts, constants of the kernel that is compiled with them: piece p is BLOB[STARTS[p] : STARTS[p + 1]]. Behind
#: them is the room that copying short ones takes (`core.kernels.text`).
STARTS: NDArray[np.int64] = np.cumsum([0, *(len(text.encode()) for text in _texts())], dtype=np.int64)
BLOB: NDArray[np.uint8] = np.frombuffer("".join(_texts()).encode() + bytes(SLACK), np.uint8).copy()
