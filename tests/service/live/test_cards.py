import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.live.cards import ID, MEMBERS, TITLE, CardIndex, Cards
from service.live.event import Card

ROOM = 6

TEXTS = st.tuples(*(st.binary(min_size=1, max_size=40) for _ in range(3)))
#: A batch: cards by event.
BATCHES = st.dictionaries(st.integers(0, ROOM - 1), TEXTS, max_size=ROOM)


def card_of(cards: Cards, event: int) -> Card:
    bounds = cards.bounds[event]
    first, second, third = (
        cards.blob[bounds[which] : bounds[which + 1]].tobytes() for which in (ID, TITLE, MEMBERS)
    )
    return first, second, third


def put(index: CardIndex, batch: dict[int, Card]) -> None:
    index.put(list(batch), list(batch.values()))


@given(st.lists(BATCHES, max_size=8))
def test_the_latest_card_of_each_event_is_kept(batches):
    index, expected = CardIndex(ROOM), {}

    for batch in batches:
        put(index, batch)
        expected |= batch

    for event in range(ROOM):
        assert card_of(index.cards, event) == expected.get(event, (b"", b"", b""))
    assert index.without_card(ROOM).tolist() == [event for event in range(ROOM) if event not in expected]


def test_cards_that_replace_others_again_and_again_take_no_endless_room():
    index = CardIndex(2)
    put(index, {0: (b"keeps", b"its", b"card")})

    for round_ in range(500):
        text = bytes([round_ % 256]) * 2_000
        put(index, {1: (text, text, text)})

    assert card_of(index.cards, 0) == (b"keeps", b"its", b"card")
    assert card_of(index.cards, 1) == (text, text, text)
    assert index.cards.blob.size <= 1 << 16


def test_the_block_grows_to_what_is_in_use():
    index, large = CardIndex(40), {}
    for event in range(40):
        large[event] = (bytes([event]) * 10_000, b"t", bytes([255 - event]) * 3)
        put(index, {event: large[event]})

    assert {event: card_of(index.cards, event) for event in range(40)} == large


def test_a_card_larger_than_the_whole_block_fits():
    index = CardIndex(1)

    put(index, {0: (b"a" * 1_000_000, b"b", b"c")})

    assert card_of(index.cards, 0) == (b"a" * 1_000_000, b"b", b"c")


def test_more_room_keeps_the_cards_and_less_changes_nothing():
    index = CardIndex(1)
    put(index, {0: (b"a", b"b", b"c")})

    index.ensure_room(5)
    index.ensure_room(2)
    put(index, {4: (b"d", b"e", b"f")})

    assert index.cards.bounds.shape[0] == 5
    assert card_of(index.cards, 0) == (b"a", b"b", b"c")
    assert card_of(index.cards, 4) == (b"d", b"e", b"f")


def test_the_arrays_have_the_types_that_the_encoder_is_compiled_for():
    cards = CardIndex(3).cards

    assert (cards.blob.dtype, cards.bounds.dtype, cards.bounds.shape) == (np.uint8, np.int64, (3, 4))
