"""What a caller may ask of the events of an answer, in a body or in a query, checked into `Limits`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from service.errors import BadRequestError
from service.live.filters import NO_LIMITS, Limits, Near

_DAY = 86_400.0
_LAST_MOMENT = 253_402_300_799  # the last second of the year 9999
_UNIX_SECONDS = re.compile(r"[0-9]{9,12}")

Moment = (
    Annotated[
        str,
        Meta(
            max_length=40,
            description="ISO 8601. A day alone is all of it; a time without an offset, and a day, are UTC.",
            examples=["2026-12-04", "2026-12-04T18:00:00Z"],
        ),
    ]
    | Annotated[float, Meta(ge=0, le=_LAST_MOMENT, description="Seconds since 1970")]
)
Genre = Annotated[str, Meta(max_length=255)]


class NearRequest(Struct, forbid_unknown_fields=True):
    """A circle, in degrees and km. An event without a place of its own is in none."""

    latitude: Annotated[float, Meta(ge=-90, le=90)]
    longitude: Annotated[float, Meta(ge=-180, le=180)]
    radius_km: Annotated[float, Meta(gt=0, le=20_040)] = 25.0


class LimitFields(Struct, forbid_unknown_fields=True, kw_only=True):
    """The limits that any question about events may have. Each must hold; what is not given does not limit.

    ``genres``: any of them will do. ``date_from`` and ``date_to`` are about the start, both included. ``price_max`` is
    held against the lowest price of an event. An event that does not say its price, place or genres keeps to no limit
    of that kind.
    """

    genres: Annotated[list[Genre], Meta(max_length=50)] | None = None
    date_from: Moment | None = None
    date_to: Moment | None = None
    price_max: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None
    near: NearRequest | None = None

    def limits(self) -> Limits:
        """The limits with times as unix seconds. Raises BadRequestError naming the field."""
        if (
            self.genres is None
            and self.date_from is None
            and self.date_to is None
            and self.price_max is None
            and self.near is None
        ):
            return NO_LIMITS
        starts = _moment("date_from", self.date_from, is_end=False)
        ends = _moment("date_to", self.date_to, is_end=True)
        if starts is not None and ends is not None and ends < starts:
            raise BadRequestError("date_to: expected a time that is not before date_from")
        near = self.near
        return Limits(
            genres=tuple(genre for genre in self.genres or () if genre.strip()),
            date_from=starts,
            date_to=ends,
            price_max=self.price_max,
            near=None if near is None else Near(near.latitude, near.longitude, near.radius_km),
        )


def _moment(field: str, said: str | float | None, is_end: bool) -> float | None:
    """Unix seconds; of a day without a time its first second or, at the end, its last one."""
    if said is None or not isinstance(said, str):
        return said
    text = said.strip()
    if _UNIX_SECONDS.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise BadRequestError(
            f"{field}: expected an ISO 8601 day or time, or unix seconds, got {said!r}"
        ) from None
    is_day = len(text) <= len("2026-12-04")
    return seconds + _DAY - 1.0 if is_end and is_day else seconds
