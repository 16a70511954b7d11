"""Instants as both engines store and compare them: text in UTC, `2026-03-17 20:00:00`, to the second."""

from datetime import UTC, datetime

#: What an unknown time reads as. No interaction happened in 1970.
UNKNOWN_TIME = 0


def to_text(epoch_seconds: float) -> str:
    """The text for an instant in seconds since 1970; ValueError outside the years 1 to 9999."""
    return datetime.fromtimestamp(int(epoch_seconds), UTC).isoformat(" ")[:19]


def optional_text(epoch_seconds: float | None) -> str | None:
    """As `to_text`, with None for None."""
    return None if epoch_seconds is None else to_text(epoch_seconds)
