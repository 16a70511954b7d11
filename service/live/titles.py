"""What the title of an event tells: who plays, and which series it belongs to."""

import re

_ASIDE = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_BETWEEN = re.compile(
    r"\s*[:|+,;/•·]\s*|\s+[-–—]\s+"
    r"|\s+(?:feat|ft|featuring|with|w|presents|pres|vs|b2b|live at|live in|at|support|supported by|special guests?)"
    r"\b[.:]?\s+",
    re.IGNORECASE,
)
_AFTER_A_NAME = re.compile(r"\s+(?:live|dj set|tour|album launch|in concert|sold out)\s*$", re.IGNORECASE)
_SERIES_ENDS = re.compile(r"\s*[:|#(\[]|\s+[-–—]\s+|\s+(?:feat|ft|with|w/)\b", re.IGNORECASE)
_OCCASION = re.compile(
    r"\d+(?:st|nd|rd|th)?|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b"
    r"|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b"
    r"|\b(?:no|nr|vol|volume|part|edition|episode)\b\.?",
    re.IGNORECASE,
)
_TWO_LETTERS = re.compile(r"[^\W\d_].*?[^\W\d_]", re.DOTALL)
_MOST_NAMES = 8


def artists_in(title: str) -> list[str]:
    """The names that a title puts beside one another: "Lankum + Ye Vagabonds, live at Whelan's" has three.

    One that is no artist does no harm: what only one event has in its title matches no other, and what many have is
    too common to count for much.
    """
    pieces = [_AFTER_A_NAME.sub("", piece).strip() for piece in _BETWEEN.split(_ASIDE.sub(" ", title))]
    names = [piece for piece in pieces if _TWO_LETTERS.search(piece)]
    return list(dict.fromkeys(names[:_MOST_NAMES]))


def series_of(title: str) -> str | None:
    """What the titles of one series share: what stands first, without numbers and dates; None where nothing is left.

    "Trad Tuesday #12: The Otters" is of "Trad".
    """
    head = _SERIES_ENDS.split(title, maxsplit=1)[0]
    name = " ".join(_OCCASION.sub(" ", head).split())
    return name if _TWO_LETTERS.search(name) else None
