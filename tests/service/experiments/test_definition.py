import msgspec
import pytest

from service.experiments.definition import Experiment, Variant, VariantSettings, check, default_experiment
from service.experiments.errors import DefinitionError, TransitionError
from service.experiments.revisions import changed, check_layer, created, in_force, moved_to

ARMS = ("control", "collaborative_filtering", "content_based", "hybrid", "als")
DEFAULT = default_experiment("rec_algorithm_v1", "control")
replace = msgspec.structs.replace


def with_weights(experiment: Experiment, *weights: float) -> Experiment:
    variants = [replace(one, weight=weight) for one, weight in zip(experiment.variants, weights, strict=True)]
    return replace(experiment, variants=tuple(variants))


def test_the_standing_experiment_has_the_four_variants_of_the_contract_in_equal_parts():
    check(DEFAULT, ARMS)
    assert DEFAULT.variant_ids == ("control", "collaborative_filtering", "content_based", "hybrid")
    assert set(DEFAULT.weights) == {0.25}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"variants": (Variant("a", 1.0, "control"), Variant("a", 1.0, "als"))},
            r"variants\[1\].variant_id: 'a'",
        ),
        (
            {"variants": (Variant("a", 1.0, "control"), Variant("b", 1.0, "magic"))},
            r"variants\[1\].arm: expected",
        ),
        (
            {"variants": (Variant("a", 0.0, "control"), Variant("b", 0.0, "als"))},
            "variants: expected at least one",
        ),
        ({"variants": (Variant("a", 1.0, "control"), Variant("b", 1.0))}, "variants: expected arm in all"),
        (
            {"variants": (Variant("a", 1.0), Variant("b", 1.0, settings=VariantSettings(limit=3)))},
            "variants: expected settings.limit in all",
        ),
        ({"control": "popular"}, "control: expected one of control, "),
        ({"layer_from": 0.5, "layer_to": 0.5}, "layer_to: expected more than layer_from"),
        ({"starts_at": 5.0, "ends_at": 5.0}, "ends_at: expected a time after starts_at"),
        ({"primary_metric": "hide_rate"}, "primary_metric: expected one of goal_metrics"),
    ],
)
def test_what_cannot_be_run_is_refused_by_field(values: dict[str, object], message: str):
    with pytest.raises(DefinitionError, match=message):
        check(replace(DEFAULT, **values), ARMS)


def test_every_step_of_a_life_is_a_version_with_its_time():
    draft = created(DEFAULT, ARMS, 1.0)
    running = moved_to(draft, "running", ARMS, 2.0)
    paused = moved_to(running, "paused", ARMS, 3.0)
    resumed = moved_to(paused, "running", ARMS, 4.0)
    done = moved_to(resumed, "completed", ARMS, 5.0)
    steps = [draft, running, paused, resumed, done]
    assert [one.version for one in steps] == [1, 2, 3, 4, 5]
    assert [one.changed_at for one in steps] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert {one.created_at for one in steps} == {1.0}
    assert done.experiment.starts_at == 2.0
    assert done.experiment.ends_at == 5.0


@pytest.mark.parametrize(
    ("path", "status"),
    [(("completed",), "running"), ((), "paused"), (("running",), "draft"), (("running",), "running")],
)
def test_a_step_that_makes_no_sense_is_refused(path: tuple, status):
    revision = created(DEFAULT, ARMS, 1.0)
    for step in path:
        revision = moved_to(revision, step, ARMS, 2.0)
    with pytest.raises(TransitionError, match=f"cannot become {status}"):
        moved_to(revision, status, ARMS, 3.0)


def test_an_experiment_with_an_arm_that_is_gone_does_not_start():
    draft = created(DEFAULT, ARMS, 1.0)
    with pytest.raises(DefinitionError, match="hybrid"):
        moved_to(draft, "running", ("control", "collaborative_filtering", "content_based"), 2.0)


def test_a_draft_gets_a_fresh_map_with_every_change():
    draft = created(DEFAULT, ARMS, 1.0)
    other = changed(draft, with_weights(DEFAULT, 0.7, 0.1, 0.1, 0.1), ARMS, 2.0, delay=9.0)
    assert (other.map_version, other.effective_at) == (1, 2.0)
    assert not any(other.buckets.moved)


def test_once_people_take_part_a_change_of_weights_is_a_new_map_in_force_when_everyone_knows_it():
    running = moved_to(created(DEFAULT, ARMS, 1.0), "running", ARMS, 2.0)
    after = changed(running, with_weights(running.experiment, 0.4, 0.2, 0.2, 0.2), ARMS, 10.0, delay=5.0)
    assert (after.map_version, after.effective_at) == (2, 15.0)
    assert sum(after.buckets.moved) == 1_500
    history = [running, after]
    assert [in_force(history, at)["rec_algorithm_v1"].map_version for at in (14.9, 15.0)] == [1, 2]


def test_als_can_be_added_while_people_take_part():
    running = moved_to(created(DEFAULT, ARMS, 1.0), "running", ARMS, 2.0)
    variants = (*running.experiment.variants, Variant("als", 0.25, "als"))
    after = changed(running, replace(running.experiment, variants=variants), ARMS, 3.0, delay=0.0)
    assert after.buckets.owners.count(4) == sum(after.buckets.moved) == 2_000


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seed": "another"}, "seed: cannot be changed"),
        ({"layer_to": 0.5}, "layer_to: cannot be changed"),
        ({"primary_metric": "save_rate"}, "primary_metric: cannot be changed"),
        ({"variants": DEFAULT.variants[:3]}, "variants: once people take part"),
        (
            {"variants": (replace(DEFAULT.variants[0], arm="als"), *DEFAULT.variants[1:])},
            "variants: once people",
        ),
    ],
)
def test_what_would_make_two_experiments_of_one_is_refused_once_people_take_part(values, message: str):
    running = moved_to(created(DEFAULT, ARMS, 1.0), "running", ARMS, 2.0)
    with pytest.raises(DefinitionError, match=message):
        changed(running, replace(running.experiment, **values), ARMS, 3.0, delay=0.0)


def test_two_experiments_do_not_take_the_same_people_of_a_layer():
    first = replace(DEFAULT, layer="page", layer_to=0.5, status="running")
    second = replace(DEFAULT, experiment_id="second", layer="page", layer_from=0.4)
    with pytest.raises(TransitionError, match=r"rec_algorithm_v1 has 0 to 0\.5 of the layer 'page'"):
        check_layer(second, [first])
    check_layer(replace(second, layer_from=0.5), [first])
    check_layer(replace(second, layer="elsewhere"), [first])
    check_layer(second, [replace(first, status="completed")])
