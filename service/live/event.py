"""What the service makes of a row of the events table: is it on, and the part of its JSON that never changes."""

import re
from datetime import UTC, datetime

import orjson

from service.storage.queries.events import EventRow

_UNTITLED = b"an event that is no longer listed"

#: An event's id and its title as they stand between the quotes of a JSON string, and the JSON members that are the
#: same in every answer, without braces.
Card = tuple[bytes, bytes, bytes]

#: The site's events table has no status: a cancelled event is deleted, or says so in its tags, or at either end of
#: its title, set off by a sign: "CANCELLED: Trad Night", "Trad Night (cancelled)". A night called "Never Cancelled"
#: is on.
_CANCELLED = ("cancelled", "canceled")
_TITLE_CANCELLED = re.compile(r"\W*cancell?ed\b|.*[^\w\s]\s*cancell?ed\W*$", re.IGNORECASE | re.DOTALL)


def is_cancelled(event: EventRow) -> bool:
    """Whether the site says that an event does not take place."""
    if any(tag.strip().casefold() in _CANCELLED for tag in event.tags):
        return True
    # Nearly every title is told by the first test, at a thirtieth of the second one's price.
    return "cancel" in event.title.casefold() and _TITLE_CANCELLED.match(event.title) is not None


def shown_price(event: EventRow) -> float | None:
    """The price that answers show and a limit is held against: the lowest that is known."""
    return event.price_min if event.price_min is not None else event.price_max


def make_card(event: EventRow) -> Card:
    """Encode an event under all the names that the API's documentation and its clients use."""
    start = datetime.fromtimestamp(event.start_time, UTC)
    genre = event.genres[0] if event.genres else None
    members = {
        "event_id": event.event_id,
        "id": event.event_id,
        "title": event.title,
        "event_name": event.title,
        "start_time": start,
        "date": start,
        "end_time": None if event.end_time is None else datetime.fromtimestamp(event.end_time, UTC),
        "venue_name": event.venue_name,
        "city": event.city,
        "ticket_url": event.ticket_url,
        "images": event.images,
        "genre": genre,
        "genres": event.genres,
        "price": shown_price(event),
        "metadata": {
            "event_name": event.title,
            "venue": event.venue_name,
            "date": start,
            "genre": genre,
        },
    }
    encoded = orjson.dumps(members, option=orjson.OPT_UTC_Z)
    return json_text(event.event_id), json_text(event.title), encoded[1:-1]


def unlisted_card(event_id: str) -> Card:
    """The card of an event of which only the id is known; it can be a reason, not a recommendation."""
    return json_text(event_id), _UNTITLED, b""


def json_text(text: str) -> bytes:
    """A string as it stands between the quotes of JSON."""
    return orjson.dumps(text)[1:-1]


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC, to the second: "2026-11-28T20:00:00Z"."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()[:19] + "Z"
