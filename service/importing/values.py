"""What the values of an import file may be. Each function takes a column's name and text, or raises BadValueError."""

import re
from datetime import UTC, datetime

import orjson

from core.actions import Action
from service.importing.errors import BadValueError

LONGEST_ID = 255

#: The last second that a TIMESTAMP column can hold, in January 2038.
LAST_TIMESTAMP = 2**31 - 1

_LAST_INSTANT = 253_402_300_799  # the end of the year 9999
_LARGEST_NUMERIC_ID = 2**31 - 1
# Fewer digits are a date without dashes, or a mistake, rather than an instant before March 1973.
_UNIX_SECONDS = re.compile(r"[0-9]{9,}(\.[0-9]+)?")
_ACTIONS = {action.label for action in Action}


def identifier(column: str, text: str | None) -> str:
    """An id: up to 255 printable characters; spaces around it do not count."""
    value = (text or "").strip()
    if not value:
        raise BadValueError(column, value, "is no id")
    if len(value) > LONGEST_ID:
        raise BadValueError(column, value, f"is longer than {LONGEST_ID} characters")
    if not value.isprintable():
        raise BadValueError(column, value, "has characters that cannot be printed")
    return value


def numeric_identifier(column: str, text: str | None) -> str:
    """An id for a column of whole numbers, without leading zeros, so that it comes out as it went in."""
    value = identifier(column, text)
    numeric = value.isascii() and value.isdecimal() and value == str(int(value))
    if not numeric or not 1 <= int(value) <= _LARGEST_NUMERIC_ID:
        raise BadValueError(column, value, f"is not a whole number from 1 to {_LARGEST_NUMERIC_ID}")
    return value


def action(column: str, text: str | None) -> str:
    """The name of an action; a save when nothing is said."""
    value = (text or "").strip() or Action.SAVE.label
    if value not in _ACTIONS:
        raise BadValueError(column, value, f"is none of {', '.join(known.label for known in Action)}")
    return value


def instant(column: str, text: str | None, last: int = _LAST_INSTANT) -> int | None:
    """Seconds since 1970 from ISO 8601 or from such seconds (nine digits or more); None when nothing is said.

    A time without an offset is UTC. It must lie after 1970 began and not after `last`.
    """
    value = (text or "").strip()
    if not value:
        return None
    try:
        seconds = float(value) if _UNIX_SECONDS.fullmatch(value) else _from_iso(value)
    except ValueError:
        raise BadValueError(column, value, "is neither an ISO 8601 time nor unix seconds") from None
    if not 1 <= seconds < last + 1:
        raise BadValueError(
            column, value, f"is not between 1970 and {datetime.fromtimestamp(last, UTC).year}"
        )
    return int(seconds)


def required_instant(column: str, text: str | None) -> int:
    """As `instant`, where something has to be said."""
    seconds = instant(column, text)
    if seconds is None:
        raise BadValueError(column, "", "is no time")
    return seconds


def required_line(column: str, text: str | None, longest: int) -> str:
    """As `line`, where something has to be said."""
    value = line(column, text, longest)
    if value is None:
        raise BadValueError(column, "", "is empty")
    return value


def line(column: str, text: str | None, longest: int) -> str | None:
    """Text of at most `longest` characters; None when there is none."""
    value = (text or "").strip()
    if len(value) > longest:
        raise BadValueError(column, value, f"is longer than {longest} characters")
    return value or None


def number(column: str, text: str | None, low: float, high: float, decimals: int) -> float | None:
    """A number from `low` to `high`, rounded to the `decimals` that the database keeps; None when there is none."""
    value = (text or "").strip()
    if not value:
        return None
    try:
        parsed = float(value)
    except ValueError:
        raise BadValueError(column, value, "is not a number") from None
    if not low <= parsed <= high:  # false for NaN as well
        raise BadValueError(column, value, f"is outside {low:g} to {high:g}")
    return round(parsed, decimals)


def names(column: str, text: str | None) -> str | None:
    """JSON text of a list of texts, from such a list or from texts separated by | or else by commas."""
    entries = _entries(column, text, "|" if "|" in (text or "") else ",")
    if entries is None:
        return None
    for entry in entries:
        if not isinstance(entry, str):
            raise BadValueError(column, str(text), "is a list with something else than texts")
    cleaned = (str(entry).strip() for entry in entries)
    return orjson.dumps(list(dict.fromkeys(entry for entry in cleaned if entry))).decode()


def images(column: str, text: str | None) -> str | None:
    """JSON text of a list, from a list of anything or from addresses separated by |, which may hold commas."""
    entries = _entries(column, text, "|")
    return None if entries is None else orjson.dumps(entries).decode()


def _entries(column: str, text: str | None, separator: str) -> list[object] | None:
    value = (text or "").strip()
    if not value:
        return None
    if not value.startswith("["):
        return [part.strip() for part in value.split(separator) if part.strip()]
    try:
        entries: list[object] = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise BadValueError(column, value, f"is not a JSON list: {error}") from None
    return entries


def _from_iso(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
