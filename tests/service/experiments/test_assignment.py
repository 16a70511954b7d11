import re
from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.experiments.assignment import NO_CHOICE, Assigner, bucket
from service.experiments.definition import Experiment, Variant, VariantSettings
from service.experiments.revisions import Revision, created, moved_to

ARMS = ("control", "als")


def reference(unit_id: str, seed: str) -> float:
    """The hash as its public description says it, one step at a time; characters as JavaScript sees them."""

    def fnv1a(text: str) -> int:
        raw = text.encode("utf-16-be", "surrogatepass")
        state = 2_166_136_261
        for unit in (int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)):
            state = (state ^ unit) * 16_777_619 % 2**32
        return state

    return fnv1a(str(fnv1a(seed + unit_id))) % 10_000 / 10_000


def experiment(experiment_id: str = "exp", **values: object) -> Experiment:
    variants = (Variant("control", 1.0, "control"), Variant("als", 1.0, "als"))
    return Experiment(**{"experiment_id": experiment_id, "name": "", "variants": variants, **values})  # type: ignore[arg-type]


def running(one: Experiment, at: float = 100.0) -> Revision:
    return moved_to(created(one, ARMS, at), "running", ARMS, at)


# The first seven are of the public test cases of GrowthBook's SDKs; the others came from its definition run as
# JavaScript, whose strings are UTF-16.
@pytest.mark.parametrize(
    ("seed", "unit_id", "expected"),
    [
        ("seed", "a", 0.0505),
        ("seed", "b", 0.2696),
        ("foo", "ab", 0.2575),
        ("foo", "def", 0.2019),
        ("89123klj", "8952klfjas09ujkasdf", 0.124),
        ("90850943850283058242805", "123", 0.7516),
        ("()**(%$##$%#$#", '___)((*":&', 0.0128),
        ("", "a", 0.0216),
        ("rec_algorithm_v1", "42", 0.5976),
        ("rec_algorithm_v1", "seán", 0.877),
        ("rec_algorithm_v1", "🎻", 0.5436),
    ],
)
def test_a_bucket_is_the_one_that_the_public_hash_gives(seed: str, unit_id: str, expected: float):
    assert bucket(unit_id, seed) == expected


@given(st.text(), st.text())
def test_a_bucket_agrees_with_the_hash_written_out(unit_id: str, seed: str):
    assert bucket(unit_id, seed) == reference(unit_id, seed)


def test_half_of_a_surrogate_pair_has_a_bucket_too():
    assert bucket("\ud83c", "seed") == reference("\ud83c", "seed")


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("ids", [lambda n: str(n), lambda n: f"user-{n:08}", lambda n: f"{n:032x}"])
@pytest.mark.parametrize("seed", ["rec_algorithm_v1", "another", ""])
def test_buckets_are_uniform(ids, seed: str):
    numbers = np.array([int(bucket(ids(n), seed) * 20) for n in range(20_000)])
    # 19 degrees of freedom: above 50 is one in 7,000; of nine such tests none should be.
    assert chi_square(np.bincount(numbers, minlength=20)) < 50


@pytest.mark.parametrize(
    ("one", "other"), [("exp_1", "exp_2"), ("rec_algorithm_v1", "rec_algorithm_v2"), ("layer:x", "x")]
)
def test_buckets_of_two_seeds_are_independent(one: str, other: str):
    pairs = Counter((int(bucket(str(n), one) * 5), int(bucket(str(n), other) * 5)) for n in range(20_000))
    counts = np.array([pairs[pair] for pair in product(range(5), range(5))])
    assert chi_square(counts) < 60  # 24 degrees of freedom: one in 15,000


def test_a_person_gets_the_variant_of_their_bucket():
    assigner = Assigner([running(experiment())])
    for number in range(200):
        unit_id = str(number)
        choice = assigner.choice(assigner.draw(unit_id, 200.0))
        assert choice.arm == ("control" if bucket(unit_id, "exp") < 0.5 else "als")
        assert choice.counted == (("exp", choice.variant, 1),)


def test_nobody_is_assigned_before_the_start_after_the_end_or_in_a_pause():
    assigner = Assigner([running(experiment(starts_at=150.0, ends_at=160.0))])
    assert [bool(assigner.draw("1", at)) for at in (149.9, 150.0, 159.9, 160.0)] == [False, True, True, False]
    paused = moved_to(running(experiment()), "paused", ARMS, 101.0)
    assert Assigner([paused]).draw("1", 200.0) == []
    assert Assigner([]).choice([]) is NO_CHOICE


def test_of_two_experiments_in_one_layer_a_person_is_in_one():
    one = running(experiment("one", layer="page", layer_to=0.5))
    other = running(experiment("other", layer="page", layer_from=0.5))
    assigner = Assigner([one, other])
    drawn = [
        [draw.running.revision.experiment_id for draw in assigner.draw(str(n), 200.0)] for n in range(1_000)
    ]
    assert {len(ids) for ids in drawn} == {1}
    assert 400 < sum(ids == ["one"] for ids in drawn) < 600


def limits(experiment_id: str) -> Experiment:
    variants = (
        Variant("control", 1.0, settings=VariantSettings(limit=10)),
        Variant("long", 1.0, settings=VariantSettings(limit=30)),
    )
    return experiment(experiment_id, variants=variants)


def test_experiments_about_different_things_go_on_beside_each_other():
    assigner = Assigner([running(limits("length")), running(experiment("arms"))])
    choices = [assigner.choice(assigner.draw(str(n), 200.0)) for n in range(400)]
    combinations = Counter((choice.arm, choice.limit) for choice in choices)
    assert set(combinations) == {("control", 10), ("control", 30), ("als", 10), ("als", 30)}
    assert min(combinations.values()) > 60
    assert {choice.experiment_id for choice in choices} == {"arms"}, (
        "clients are told of the one with the arm"
    )
    assert {len(choice.counted) for choice in choices} == {2}


def test_of_two_experiments_about_the_same_thing_only_the_older_counts():
    assigner = Assigner([running(experiment("older")), running(experiment("younger"))])
    counted = {
        entry[0] for n in range(100) for entry in assigner.choice(assigner.draw(str(n), 200.0)).counted
    }
    assert counted == {"older"}


def test_what_an_answer_says_of_its_experiment_is_json():
    assigner = Assigner([running(experiment())])
    told = assigner.choice(assigner.draw("1", 200.0)).told
    assert re.fullmatch(rb'\{"experiment_id":"exp","variant":"(control|als)","map_version":1\}', told)
