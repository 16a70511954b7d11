"""Instants as both engines store and compare them: text in UTC, `2026-03-17 20:00:00`, to the second."""

from datetime import UTC, datetime
from functools import lru_cache

#: What an unknown time reads as. No interaction happened in 1970.
UNKNOWN_TIME = 0


def to_text(epoch_seconds: float) -> str:
    """The text for an instant in seconds since 1970; ValueError outside the years 1 to 9999."""
    return _text_of(int(epoch_seconds))


def optional_text(epoch_seconds: float | None) -> str | None:
    """As `to_text`, with None for None."""
    return None if epoch_seconds is None else to_text(epoch_seconds)


@lru_cache(maxsize=1_024)  # what is recorded is of the last few seconds: a thousand answers share one
def _text_of(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat(" ")[:19]
