import orjson
import pytest

from service.live.event import is_cancelled, iso, json_text, make_card, unlisted_card
from tests.sites import an_event


@pytest.mark.parametrize(
    "title",
    [
        *("Cancelled", "CANCELLED: Trad Night", "[Cancelled] Trad Night", "*** CANCELED *** Trad Night"),
        *(
            "Trad Night (cancelled)",
            "Trad Night - CANCELLED",
            "Trad Night – Cancelled!",
            "Trad Night: canceled",
        ),
    ],
)
def test_a_title_that_says_so_at_either_end_cancels_an_event(title):
    assert is_cancelled(an_event("e", title=title))


@pytest.mark.parametrize("tag", ["cancelled", "Canceled", " CANCELLED "])
def test_a_tag_cancels_an_event(tag):
    assert is_cancelled(an_event("e", tags=("folk", tag)))


@pytest.mark.parametrize(
    "title", ["Trad Night", "Never Cancelled", "The Cancellations", "Uncancelled: Live", ""]
)
def test_other_titles_do_not(title):
    assert not is_cancelled(an_event("e", title=title, tags=("not cancelled", "free")))


def test_a_card_says_everything_under_each_of_its_names():
    event = an_event(
        "gig-42",
        title="Lankum",
        start_time=1_795_896_000,
        end_time=1_795_906_800,
        city="Dublin",
        venue_name="Vicar Street",
        ticket_url="https://tickets.example/42",
        price_min=32.5,
        price_max=50.0,
        genres=("folk", "drone"),
        images=("a.jpg", {"url": "b.jpg"}),
    )

    event_id, title, members = make_card(event)

    assert (event_id, title) == (b"gig-42", b"Lankum")
    assert orjson.loads(b"{" + members + b"}") == {
        "event_id": "gig-42",
        "id": "gig-42",
        "title": "Lankum",
        "event_name": "Lankum",
        "start_time": "2026-11-28T20:00:00Z",
        "date": "2026-11-28T20:00:00Z",
        "end_time": "2026-11-28T23:00:00Z",
        "venue_name": "Vicar Street",
        "city": "Dublin",
        "ticket_url": "https://tickets.example/42",
        "images": ["a.jpg", {"url": "b.jpg"}],
        "genre": "folk",
        "genres": ["folk", "drone"],
        "price": 32.5,
        "metadata": {
            "event_name": "Lankum",
            "venue": "Vicar Street",
            "date": "2026-11-28T20:00:00Z",
            "genre": "folk",
        },
    }


def test_what_nobody_said_is_null_and_lists_are_empty():
    members = orjson.loads(b"{" + make_card(an_event("e"))[2] + b"}")

    unsaid = {name for name, value in members.items() if value is None}
    assert unsaid == {"end_time", "venue_name", "city", "ticket_url", "genre", "price"}
    assert members["genres"] == members["images"] == []


@pytest.mark.parametrize(("low", "high", "price"), [(0.0, 20.0, 0.0), (None, 20.0, 20.0), (None, None, None)])
def test_the_price_is_the_lowest_known(low, high, price):
    members = orjson.loads(b"{" + make_card(an_event("e", price_min=low, price_max=high))[2] + b"}")

    assert members["price"] == price


def test_an_unlisted_event_has_an_id_to_be_named_by():
    assert unlisted_card('say "hi"') == (b'say \\"hi\\"', b"an event that is no longer listed", b"")


def test_a_text_is_escaped_as_json_does_it():
    text = 'a "b" \\ \n é 🎻'

    assert orjson.loads(b'"' + json_text(text) + b'"') == text


def test_times_are_iso_8601_in_utc_to_the_second():
    assert iso(0.0) == "1970-01-01T00:00:00Z"
    assert iso(1_800_000_000.9) == "2027-01-15T08:00:00Z"
