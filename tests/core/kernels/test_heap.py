import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.kernels import heap
from tests import oracles

LEAST = np.finfo(np.float32).smallest_subnormal
GREATEST = np.finfo(np.float32).max

#: Many equal scores, the extremes, and whatever else float32 holds.
SCORES = st.one_of(
    st.sampled_from([np.float32(0.5), np.float32(1.0), LEAST, GREATEST]),
    st.floats(float(LEAST), float(GREATEST), width=32).map(np.float32),
)
INDICES = st.one_of(st.integers(0, 40), st.sampled_from([65_535, 65_536, 2**31 - 1]))
SCORED = st.dictionaries(INDICES, SCORES, max_size=40)


def keys_of(scores: dict[int, np.float32]) -> np.ndarray:
    """uint64[n]: the keys of scored indices, in their order."""
    keys = [heap.key_of(score, np.int32(index)) for index, score in scores.items()]
    return np.array(keys, np.uint64)


def indices_of(keys: np.ndarray) -> list[int]:
    return [int(heap.index_of(key)) for key in keys]


def streamed(keys: np.ndarray, capacity: int) -> np.ndarray:
    """The keys that a bounded heap keeps of a stream, best first."""
    kept = np.zeros(capacity, np.uint64)
    size = 0
    for key in keys:
        size = heap.push_bounded(kept, size, capacity, key)
    heap.sort_best_first(kept, size)
    return kept[:size]


@given(SCORES, INDICES)
def test_a_key_gives_back_its_score_and_index(score: np.float32, index: int) -> None:
    key = keys_of({index: score})[0]
    assert heap.index_of(key) == index
    assert np.float32(heap.score_of(key)) == score


@given(SCORED)
def test_keys_ascend_with_the_score_and_for_equal_scores_with_lower_indices(
    scores: dict[int, np.float32],
) -> None:
    descending = np.sort(keys_of(scores))[::-1]
    assert indices_of(descending) == oracles.top_k(scores, len(scores))


@given(SCORED, st.integers(1, 50))
def test_a_bounded_heap_keeps_the_best_in_order_and_nothing_better_is_left_out(
    scores: dict[int, np.float32], k: int
) -> None:
    keys = keys_of(scores)
    kept = streamed(keys, k)
    assert kept.size == min(k, keys.size)
    assert (kept[1:] < kept[:-1]).all()
    left_out = np.setdiff1d(keys, kept)
    assert not left_out.size or left_out.max() < kept.min()
    assert indices_of(kept) == oracles.top_k(scores, k)


@given(SCORED, st.integers(1, 50))
def test_a_partition_brings_the_best_to_the_front_and_loses_no_key(
    scores: dict[int, np.float32], k: int
) -> None:
    keys = keys_of(scores)
    before = keys.copy()
    kept = heap.keep_best(keys, keys.size, k)
    assert kept == min(k, keys.size)
    assert set(indices_of(keys[:kept])) == set(oracles.top_k(scores, k))
    np.testing.assert_array_equal(np.sort(keys), np.sort(before))


def bits_of(scores: dict[int, np.float32]) -> np.ndarray:
    return np.array(list(scores.values()), np.float32).view(np.int32)


@given(SCORED, st.integers(1, 40), st.integers(0, 5))
def test_the_least_that_is_kept_leaves_as_many_as_wanted_and_those_equal_to_it(
    scores: dict[int, np.float32], k: int, beyond: int
) -> None:
    bits = bits_of(scores)
    beyond_all = np.full(beyond, np.iinfo(np.int32).max, np.int32)
    least = heap.least_kept(np.concatenate((bits, beyond_all)), bits.size, k)
    ranked = oracles.top_k(scores, len(scores))
    if len(ranked) < k:
        assert least == 1
    else:
        worst = bits_of(scores)[list(scores).index(ranked[k - 1])]
        better = max((bits[bits < worst].max(initial=0)), 0)
        assert better < least <= worst


@given(SCORED, st.integers(1, 40), st.integers(0, 20))
def test_a_bound_that_some_more_may_reach_is_reached_by_as_many_as_are_wanted_at_least(
    scores: dict[int, np.float32], k: int, spare: int
) -> None:
    bits = bits_of(scores)
    least = heap.least_kept(bits, bits.size, k, spare)
    exact = heap.least_kept(bits, bits.size, k)
    reaching, at_least = (int((bits >= bound).sum()) for bound in (least, exact))
    assert min(k, int((bits > 0).sum())) <= reaching <= max(at_least, k + spare)


@given(SCORED)
def test_sorting_keys_puts_the_best_first(scores: dict[int, np.float32]) -> None:
    keys = keys_of(scores)
    heap.sort_keys(keys, keys.size)
    assert indices_of(keys) == oracles.top_k(scores, len(scores))


@given(SCORED, st.integers(0, 40))
def test_only_the_first_keys_of_an_array_are_touched(scores: dict[int, np.float32], size: int) -> None:
    keys = keys_of(scores)
    size = min(size, keys.size)
    before = keys.copy()
    heap.keep_best(keys, size, 1)
    heap.sort_keys(keys, size)
    np.testing.assert_array_equal(keys[:size], np.sort(before[:size])[::-1])
    np.testing.assert_array_equal(keys[size:], before[size:])


@pytest.mark.parametrize("k", [1, 50, 69_999])
@pytest.mark.parametrize("arrangement", ["ascending", "descending", "shuffled"])
def test_more_keys_than_16_bits_count_are_partitioned_whatever_their_order(k: int, arrangement: str) -> None:
    keys = np.arange(1, 70_001).astype(np.uint64) << np.uint64(20)
    best = keys[-k:].copy()
    if arrangement == "descending":
        keys = keys[::-1].copy()
    elif arrangement == "shuffled":
        np.random.default_rng(0).shuffle(keys)
    assert heap.keep_best(keys, keys.size, k) == k
    np.testing.assert_array_equal(np.sort(keys[:k]), best)


@pytest.mark.parametrize("size", [1, 2, 255, 2_000])
def test_long_lists_of_keys_are_sorted_too(size: int) -> None:
    keys = np.random.default_rng(size).permutation(size).astype(np.uint64)
    heap.sort_keys(keys, size)
    assert keys.tolist() == list(range(size))[::-1]
