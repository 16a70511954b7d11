"""Evenings as people in Ireland call them: the weekday they went out on, and how late it was."""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta

#: An event before this hour belongs to the night before.
NIGHT_ENDS = 6
WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
#: The bands of hours, by the hour from which they last, counted from midnight.
HOUR_BANDS = ((6, "daytime"), (17, "early evening"), (20, "evening"), (22, "late"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_BANDS_BEGIN = [since for since, _ in HOUR_BANDS]


def local_time(seconds: float) -> datetime:
    """Unix seconds in Irish time, without its zone.

    Summer time lasts between the last Sundays of March and October, 01:00 UTC (Directive 2000/84/EC); written out
    because a bare machine may have no database of time zones.
    """
    utc = _EPOCH + timedelta(seconds=int(seconds))
    if 4 <= utc.month <= 9 or (
        utc.month in (3, 10) and _last_sunday(utc.year, 3) <= utc < _last_sunday(utc.year, 10)
    ):
        return utc + timedelta(hours=1)
    return utc


def weekday_of(at: datetime) -> str:
    """The day of the night out: "Fridays" also for half past two on Saturday morning."""
    return WEEKDAYS[(at.weekday() - (at.hour < NIGHT_ENDS)) % 7]


def hour_band_of(at: datetime) -> str:
    """One of `HOUR_BANDS`."""
    hour = (at.hour - NIGHT_ENDS) % 24 + NIGHT_ENDS
    return HOUR_BANDS[bisect_right(_BANDS_BEGIN, hour) - 1][1]


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1, tzinfo=UTC).replace(tzinfo=None)
    return last - timedelta(days=(last.weekday() + 1) % 7)
