import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiments.buckets import BUCKETS, BucketMap, quotas

WEIGHTS = st.lists(st.floats(0.0, 1e6), min_size=2, max_size=8).filter(lambda weights: sum(weights) > 1e-3)


@given(WEIGHTS)
def test_quotas_use_every_bucket_and_are_off_by_less_than_one(weights: list[float]):
    given_out = quotas(weights)
    assert sum(given_out) == BUCKETS
    exact = [weight / sum(weights) * BUCKETS for weight in weights]
    assert all(abs(quota - part) < 1.0 for quota, part in zip(given_out, exact, strict=True))
    assert all(quota == 0 for quota, weight in zip(given_out, weights, strict=True) if weight == 0.0)


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -0.5], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_weights_that_are_none_are_refused(weights: list[float]):
    with pytest.raises(ValueError, match="weights"):
        quotas(weights)


def test_the_first_map_gives_each_variant_one_range_in_order():
    owners = BucketMap.first([0.1, 0.2, 0.7]).owners
    assert owners == bytes([0]) * 1_000 + bytes([1]) * 2_000 + bytes([2]) * 7_000


@given(WEIGHTS, st.lists(WEIGHTS, min_size=1, max_size=4))
def test_a_change_of_weights_moves_as_few_buckets_as_it_can(first: list[float], following: list[list[float]]):
    map_, before = BucketMap.first(first), first
    for weights in following:
        weights = weights + [0.0] * (len(before) - len(weights))
        before = before + [0.0] * (len(weights) - len(before))
        if sum(weights) == 0.0:
            continue
        after = map_.rebalanced(weights)
        moved = [one for one, other in zip(map_.owners, after.owners, strict=True) if one != other]
        shares = zip(before, weights, strict=True)
        total_variation = sum(max(0.0, now / sum(weights) - then / sum(before)) for then, now in shares)
        assert len(moved) <= total_variation * BUCKETS + len(weights)
        gained = [quota - map_.owners.count(place) for place, quota in enumerate(quotas(weights))]
        assert len(moved) == sum(max(0, gain) for gain in gained), "only what must move moves"
        assert [after.owners.count(place) for place in range(len(weights))] == quotas(weights)
        assert after.version == map_.version + 1
        map_, before = after, weights


def test_a_new_variant_takes_its_part_and_nothing_else_moves():
    before = BucketMap.first([1.0, 1.0])
    after = before.rebalanced([1.0, 1.0, 1.0])
    moved = [place for place in range(BUCKETS) if before.owners[place] != after.owners[place]]
    assert {after.owners[place] for place in moved} == {2}
    assert len(moved) == after.owners.count(2) == 3_333


@given(WEIGHTS, WEIGHTS)
def test_a_bucket_that_moved_once_stays_marked(first: list[float], second: list[float]):
    size = max(len(first), len(second))
    first, second = first + [0.0] * (size - len(first)), second + [0.0] * (size - len(second))
    start = BucketMap.first(first)
    there = start.rebalanced(second)
    back = there.rebalanced(first)
    for place in range(BUCKETS):
        assert there.moved[place] == (start.owners[place] != there.owners[place])
        assert back.moved[place] >= there.moved[place]


@given(WEIGHTS)
def test_a_map_comes_back_from_its_runs(weights: list[float]):
    map_ = BucketMap.first(weights).rebalanced(weights[::-1])
    assert BucketMap.from_runs(map_.version, map_.runs()) == map_


def test_runs_that_make_no_map_are_refused():
    with pytest.raises(ValueError, match="runs: expected 10000 buckets, got 9999"):
        BucketMap.from_runs(1, ((9_999, 0, 0),))
