import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.live.renumbering import numbers_after, renumbered

N_BEFORE = 5
#: Which of the events before each of the new ones was, no two the same.
PLACES = st.lists(
    st.integers(-1, N_BEFORE - 1), max_size=8, unique_by=lambda place: place if place >= 0 else object()
)


@given(PLACES, st.integers(0, 3), st.booleans())
def test_what_is_known_of_events_follows_their_numbers(places: list[int], more: int, is_table: bool) -> None:
    values = np.arange(10, 10 + N_BEFORE, dtype=np.int64)
    if is_table:
        values = np.stack([values, -values], axis=1)
    room = len(places) + more

    taken = renumbered(values, np.array(places, np.int32), room, 7)

    nothing = [7, 7] if is_table else 7
    assert taken.dtype == values.dtype
    assert taken.tolist() == [values[place].tolist() if place >= 0 else nothing for place in places] + [
        nothing for _ in range(more)
    ]


def test_where_nothing_was_known_nothing_is() -> None:
    assert renumbered(np.empty(0, np.float32), np.array([-1, -1], np.int32), 3, 0.5).tolist() == [0.5] * 3


@given(PLACES)
def test_the_other_way_round_each_number_leads_back(places: list[int]) -> None:
    numbers = numbers_after(np.array(places, np.int32), N_BEFORE)

    expected = [places.index(before) if before in places else -1 for before in range(N_BEFORE)]
    assert numbers.tolist() == expected
