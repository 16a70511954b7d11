"""JSON columns that other programs fill: what cannot be read counts as empty and is counted, never raised."""

from typing import Any

import orjson

# What people call the text of a list's entry when the entry is an object.
_NAME_KEYS = ("name", "genre", "title")


class JsonColumns:
    """Decodes JSON columns and counts in `unreadable` those that held something else than was expected."""

    def __init__(self) -> None:
        self.unreadable = 0

    def entries(self, text: str | bytes | None) -> tuple[Any, ...]:
        """The entries of a JSON list; none for NULL, for what is no list, and for what is no JSON."""
        if text is None or text == "[]":
            return ()
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            value = text
        if isinstance(value, list):
            return tuple(value)
        self.unreadable += value is not None
        return ()

    def names(self, text: str | bytes | None) -> tuple[str, ...]:
        """The texts of a JSON list of texts, or of objects with a name, each once and in their order."""
        if text is None or text == "[]":
            return ()
        found = (_name(entry) for entry in self.entries(text))
        return tuple(dict.fromkeys(name for name in found if name))


def _name(entry: Any) -> str:
    if isinstance(entry, dict):
        entry = next((entry[key] for key in _NAME_KEYS if key in entry), "")
    return entry.strip() if isinstance(entry, str) else ""
