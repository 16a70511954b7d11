import math
from collections.abc import Mapping

import numpy as np
import pytest

from service.live.catalogue import NOWHERE, Candidates, Catalogue
from service.live.description import describe
from service.storage.queries.events import EventRow
from tests.sites import DAY, HOUR, NOW, an_event


def a_catalogue(events: Mapping[int, EventRow], room: int = 8) -> Catalogue:
    catalogue = Catalogue(room)
    catalogue.put(list(events), describe(list(events.values())))
    return catalogue


def open_in(candidates: Candidates) -> list[int]:
    return np.flatnonzero(candidates.mask).tolist()


def title_of(catalogue: Catalogue, index: int) -> bytes:
    cards = catalogue.cards
    return cards.blob[cards.bounds[index, 1] : cards.bounds[index, 2]].tobytes()


def test_events_that_start_later_are_open_wherever_they_are():
    catalogue = a_catalogue(
        {0: an_event("a", city="Cork"), 3: an_event("b", city="Sligo"), 4: an_event("c", city=None)}
    )

    found = catalogue.candidates(None, NOW)

    assert open_in(found) == [0, 3, 4]
    assert found.n_events == 3
    assert found.mask.dtype == np.uint8
    assert found.mask.shape == (8,)


@pytest.mark.parametrize("city", ["Dún Laoghaire", "dun laoghaire", "DÚN-LAOGHAIRE", " Dun  Laoghaire "])
def test_a_city_is_found_however_it_is_spelt(city):
    events = {0: an_event("a", city="Dún Laoghaire"), 1: an_event("b", city="Cork"), 2: an_event("c")}

    assert open_in(a_catalogue(events).candidates(city, NOW)) == [0]


def test_spellings_of_one_city_in_the_site_s_table_are_one_city():
    events = {0: an_event("a", city="Dun Laoghaire"), 1: an_event("b", city="Dún Laoghaire")}
    catalogue = a_catalogue(events)

    assert open_in(catalogue.candidates("dún laoghaire", NOW)) == [0, 1]
    assert catalogue.cities[:3].tolist() == [0, 0, NOWHERE]


def test_a_city_that_no_event_is_in_has_none():
    found = a_catalogue({0: an_event("a", city="Cork"), 1: an_event("b")}).candidates("Atlantis", NOW)

    assert (open_in(found), found.n_events, found.valid_until) == ([], 0, math.inf)


def test_an_event_leaves_at_the_very_second_it_starts():
    catalogue = a_catalogue({0: an_event("a", start_time=NOW + 60), 1: an_event("b", start_time=NOW + HOUR)})

    assert open_in(catalogue.candidates(None, NOW + 59.999)) == [0, 1]
    assert open_in(catalogue.candidates(None, NOW + 60)) == [1]
    assert open_in(catalogue.candidates(None, NOW + 60.001)) == [1]


def test_each_city_s_candidates_are_valid_until_the_next_of_its_events_starts():
    catalogue = a_catalogue(
        {
            0: an_event("a", city="Cork", start_time=NOW + 60),
            1: an_event("b", city="Cork", start_time=NOW + DAY),
            2: an_event("c", city="Sligo", start_time=NOW + HOUR),
        }
    )

    assert catalogue.candidates("Cork", NOW).valid_until == NOW + 60
    assert catalogue.candidates("Cork", NOW + 60).valid_until == NOW + DAY
    assert catalogue.candidates("Sligo", NOW).valid_until == NOW + HOUR
    assert catalogue.candidates(None, NOW).valid_until == NOW + 60


def test_candidates_are_made_once_until_something_starts_or_changes():
    catalogue = a_catalogue({0: an_event("a", start_time=NOW + 60), 1: an_event("b")})
    first = catalogue.candidates(None, NOW)

    assert catalogue.candidates(None, NOW + 59).mask is first.mask
    assert catalogue.candidates(None, NOW + 60).mask is not first.mask


def test_strange_cities_do_not_fill_the_memory():
    catalogue = a_catalogue({0: an_event("a", city="Cork")})
    strange = {id(catalogue.candidates(f"nowhere {n}", NOW).mask) for n in range(100)}

    assert len(strange) == 1


@pytest.mark.parametrize(
    "event",
    [
        an_event("a", title="CANCELLED: Trad Night"),
        an_event("a", tags=("Cancelled",)),
        an_event("a", start_time=NOW),
        an_event("a", start_time=NOW - DAY, end_time=NOW + DAY),
        an_event("a", start_time=NOW - DAY, end_time=NOW - HOUR),
    ],
)
def test_cancelled_started_and_ended_events_are_not_open(event):
    assert a_catalogue({0: event}).candidates(None, NOW).n_events == 0


def test_what_changes_counts_at_once():
    catalogue = a_catalogue({0: an_event("a", city="Cork"), 1: an_event("b", city="Cork")})
    assert catalogue.candidates("Cork", NOW).n_events == 2

    catalogue.put(
        [0, 1], describe([an_event("a", city="Sligo"), an_event("b", city="Cork", tags=("cancelled",))])
    )

    assert catalogue.candidates("Cork", NOW).n_events == 0
    assert open_in(catalogue.candidates("Sligo", NOW)) == [0]


def test_an_event_can_be_put_off_and_can_come_back():
    catalogue = a_catalogue({0: an_event("a", tags=("cancelled",)), 1: an_event("b", start_time=NOW - 1)})
    assert catalogue.candidates(None, NOW).n_events == 0

    catalogue.put([0, 1], describe([an_event("a"), an_event("b", start_time=NOW + DAY)]))

    assert open_in(catalogue.candidates(None, NOW)) == [0, 1]


def test_a_deleted_event_leaves_and_keeps_its_title_for_reasons():
    catalogue = a_catalogue({0: an_event("a", title="Trad Night"), 1: an_event("b")})
    assert catalogue.candidates(None, NOW).n_events == 2

    catalogue.close(0)

    assert open_in(catalogue.candidates(None, NOW)) == [1]
    assert title_of(catalogue, 0) == b"Trad Night"


def test_an_event_that_was_never_listed_is_only_a_name():
    catalogue = a_catalogue({1: an_event("b", title="Trad Night")})

    catalogue.name_the_rest(["a", "b", "c"])
    catalogue.name(3, "d")

    assert open_in(catalogue.candidates(None, NOW)) == [1]
    assert [title_of(catalogue, index) for index in range(4)] == [
        b"an event that is no longer listed",
        b"Trad Night",
        b"an event that is no longer listed",
        b"an event that is no longer listed",
    ]


def test_more_room_keeps_what_is_known_and_takes_more_events():
    catalogue = a_catalogue({0: an_event("a", city="Cork")}, room=1)
    catalogue.candidates("Cork", NOW)

    catalogue.ensure_room(4)
    catalogue.put([3], describe([an_event("d", city="Cork")]))

    found = catalogue.candidates("Cork", NOW)
    assert open_in(found) == [0, 3]
    assert found.mask.shape == (4,)


def test_no_events_at_all_are_no_candidates():
    catalogue = a_catalogue({})

    assert catalogue.candidates(None, NOW).n_events == 0
    assert catalogue.candidates("Cork", NOW).n_events == 0
