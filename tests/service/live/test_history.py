import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.actions import Action, ActionWeights
from core.interactions import DISMISSED, UNTOUCHED, PairState, fold_action
from service.live.history import Deed, PairHistory, untouched_since

WEIGHTS = ActionWeights()

STATES = st.sampled_from([UNTOUCHED, DISMISSED, PairState(0.4, dismissed=False, acted_on=True)])
#: Never a whole second, which is how the database tells the time.
TIMES = st.integers(0, 50).map(lambda tenths: tenths / 10 + 0.05)
DEEDS = st.lists(st.builds(Deed, TIMES, st.sampled_from(Action)), max_size=6)


def history(state: PairState, *deeds: tuple[float, Action]) -> PairHistory:
    told = untouched_since(state)
    for deed in deeds:
        told = told.including(Deed(*deed), WEIGHTS)
    return told


@given(STATES, DEEDS, st.randoms())
def test_in_whatever_order_deeds_are_told_they_are_folded_in_the_order_of_time(state, deeds, random):
    expected = state
    for deed in sorted(set(deeds)):
        expected = fold_action(expected, deed.action, 1.0, WEIGHTS)
    random.shuffle(deeds)

    assert history(state, *deeds).now == expected


def test_a_later_hide_wins_over_an_earlier_save_that_is_told_later():
    assert history(UNTOUCHED, (20.0, Action.HIDE), (10.0, Action.SAVE)).now == DISMISSED


def test_a_deed_that_is_told_again_is_no_news():
    once = history(UNTOUCHED, (10.5, Action.CLICK), (11.5, Action.SKIP))

    assert once.including(Deed(10.5, Action.CLICK), WEIGHTS) is once


def test_the_database_s_copy_of_feedback_is_no_news():
    once = history(UNTOUCHED, (10.5, Action.CLICK))

    assert once.including(Deed(10.0, Action.CLICK), WEIGHTS) is once


def test_feedback_whose_copy_the_database_told_of_first_takes_its_place():
    told = history(UNTOUCHED, (10.0, Action.HIDE), (10.3, Action.SAVE), (10.7, Action.HIDE))

    assert told.deeds == (Deed(10.3, Action.SAVE), Deed(10.7, Action.HIDE))
    assert told.now == DISMISSED


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_change_of_mind_within_a_second_counts_as_it_was_made(order):
    deeds = [(10.1, Action.SAVE), (10.2, Action.HIDE), (10.3, Action.SAVE)]

    assert history(UNTOUCHED, *(deeds[place] for place in order)).now.value == WEIGHTS.save


def test_after_an_erasure_only_later_deeds_count_and_nothing_that_was_trained():
    told = history(DISMISSED, (10.0, Action.SAVE), (20.9, Action.SAVE), (21.0, Action.CLICK))

    assert told.since(20.0, WEIGHTS) == history(UNTOUCHED, (21.0, Action.CLICK))
