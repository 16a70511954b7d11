"""City names as people and databases spell them, made comparable."""

import re
import unicodedata

_NOT_TEXT = re.compile(r"[^\w]+")


def city_key(name: str) -> str:
    """A name without case, accents, punctuation and doubled spaces: "Dún  Laoghaire" and "DUN LAOGHAIRE" agree."""
    plain = name
    if not name.isascii():
        decomposed = unicodedata.normalize("NFKD", name)
        plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _NOT_TEXT.sub(" ", plain.casefold()).strip()
