import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.live.genres import GenreIndex

NAMES = ["Hip-Hop", "hip hop", "Folk", "trad", "Ceol Gaelach", "ceol  gaelach", "Électro", "electro"]


def events_of(index: GenreIndex, *names: str) -> list[int]:
    return np.flatnonzero(index.marks(index.numbers_of(names))).tolist()


@pytest.mark.parametrize("asked", ["Hip-Hop", "hip hop", "HIP  HOP", "hip/hop"])
def test_a_genre_is_found_however_it_is_spelt(asked):
    index = GenreIndex(4)
    index.put([0, 2, 3], [("Hip Hop", "soul"), ("hip-hop",), ("hop",)])

    assert events_of(index, asked) == [0, 2]


def test_an_event_of_any_of_the_genres_counts_once():
    index = GenreIndex(4)
    index.put([0, 1, 2], [("folk", "trad"), ("trad",), ("techno",)])

    assert events_of(index, "trad", "folk", "no such genre") == [0, 1]


def test_genres_that_no_event_is_of_have_no_number_and_no_events():
    index = GenreIndex(4)
    index.put([0], [("folk",)])

    assert index.numbers_of(["polka"]) == ()
    assert events_of(index, "polka") == []


def test_more_room_keeps_what_is_known():
    index = GenreIndex(1)
    index.put([0], [("folk",)])

    index.ensure_room(3)
    index.put([2], [("folk",)])

    assert index.marks(index.numbers_of(["folk"])).tolist() == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.sampled_from(NAMES), max_size=4)), max_size=30))
def test_events_that_change_again_and_again_have_their_last_genres(changes):
    """More changes than fit at first, so that what they leave behind is dropped on the way."""
    index, latest = GenreIndex(6), dict.fromkeys(range(6), frozenset())
    for event, names in changes * 60:
        index.put([event], [names])
        latest[event] = frozenset(index.numbers_of(names))

    for name in NAMES:
        [*number] = index.numbers_of([name])
        expected = [event for event, numbers in latest.items() if numbers.intersection(number)]
        assert events_of(index, name) == expected


def test_what_changed_events_leave_behind_does_not_grow_without_end():
    index = GenreIndex(8)
    for turn in range(5_000):
        index.put([turn % 8], [("folk", "trad", "rock")])

    assert index._genres.size <= 2_048
