from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.actions import ActionWeights
from core.als import sketch_factors
from core.bundle import BundleError, open_bundle, write_bundle
from core.collaborative import CollaborativeSettings
from core.interactions import PreferenceSettings
from core.kernels.sketch import LAYOUT
from core.model import COPY_ON_WRITE, Model, ModelSettings, model_from
from core.popularity import PopularitySettings
from tests.sites import a_model

LIKES = {"ann": ["rock", "trad"], "bob": ["trad", "jazz"], "cat": []}


def facts_of(model: Model) -> dict[str, Any]:
    return {"version": model.version, "settings": model.settings.as_dict()}


def written(directory: Path, model: Model, **arrays: np.ndarray) -> Path:
    """The model's bundle, some of its arrays replaced."""
    write_bundle(directory / "bundle", {**model.arrays(), **arrays}, facts_of(model))
    return directory / "bundle"


def sketched(model: Model) -> Model:
    return replace(model, sketch=sketch_factors(model.factors))


def read(path: Path) -> Model:
    return model_from(open_bundle(path, COPY_ON_WRITE))


def test_settings_survive_the_way_through_plain_values():
    settings = ModelSettings(
        PreferenceSettings(ActionWeights(click=0.5), half_life_days=None),
        PopularitySettings(half_life_days=3.0),
        CollaborativeSettings(neighbours=7, posting_cap=None, amplification=2.0),
    )

    assert ModelSettings.from_dict(settings.as_dict()) == settings


@pytest.mark.parametrize(
    ("group", "changes", "named"),
    [
        ("collaborative", {"neighbors": 3}, "neighbors"),
        ("collaborative", {"neighbours": 0}, "neighbours"),
        ("collaborative", {"amplification": 1.2}, "amplification"),
        ("popularity", {"prior_days": 0.0}, "prior_days"),
        ("preferences", {"half_life_days": -1.0}, "half_life_days"),
        ("preferences", {"weights": {"skip": 1.0}}, "skip"),
    ],
)
def test_settings_that_are_unknown_or_out_of_range_are_named(group, changes, named):
    values = ModelSettings().as_dict()
    values[group] |= changes

    with pytest.raises((TypeError, ValueError), match=named):
        ModelSettings.from_dict(values)


def test_a_model_comes_out_of_its_bundle_as_it_went_in(tmp_path):
    model = sketched(a_model(LIKES, hides={"cat": ["jazz"]}))

    found = read(written(tmp_path, model))

    assert found.version == model.version
    assert found.settings == model.settings
    assert list(found.users) == ["ann", "bob", "cat"]
    assert list(found.events) == ["rock", "trad", "jazz"]
    assert found.arrays().keys() == model.arrays().keys()
    for name, array in model.arrays().items():
        np.testing.assert_array_equal(found.arrays()[name], array, err_msg=name)
        assert found.arrays()[name].dtype == array.dtype


def test_what_the_live_site_changes_is_private_to_the_process(tmp_path):
    path = written(tmp_path, a_model(LIKES))

    changed = read(path)
    changed.preferences.liked.weights[:] = 1
    changed.neighbourhood.savers.weights[:] = 1

    assert read(path).preferences.liked.weights.tolist() == [255] * 4
    assert read(path).neighbourhood.savers.weights.tolist() == [255] * 4


def test_everything_else_of_a_model_is_read_only(tmp_path):
    model = read(written(tmp_path, sketched(a_model(LIKES))))

    private = {name for name, array in model.arrays().items() if array.flags.writeable}

    assert private == COPY_ON_WRITE


@pytest.mark.parametrize("name", sorted(sketched(a_model(LIKES)).arrays()))
def test_a_bundle_that_lacks_an_array_is_refused(tmp_path, name):
    model = sketched(a_model(LIKES))
    write_bundle(
        tmp_path / "bundle",
        {key: array for key, array in model.arrays().items() if key != name},
        facts_of(model),
    )

    with pytest.raises(BundleError, match=f"^bundle bundle: .*{name}"):
        read(tmp_path / "bundle")


@pytest.mark.parametrize("others", [{}, {"sketch1_codes": np.zeros((2, 3, 64), np.uint8)}])
def test_a_model_without_a_sketch_of_this_layout_has_none(tmp_path, others):
    assert read(written(tmp_path, a_model(LIKES), **others)).sketch is None


def test_a_sketch_of_other_factors_is_refused(tmp_path):
    model = sketched(a_model(LIKES))
    path = written(tmp_path, model, **{f"sketch{LAYOUT}_halves": np.zeros((2, 7), np.float32)})

    with pytest.raises(BundleError, match=r"_halves: expected float32\(2, \d\), got float32\(2, 7\)"):
        read(path)


def test_whoever_takes_a_model_out_of_its_bundle_may_rest_between_its_parts(tmp_path):
    rests: list[None] = []
    model_from(open_bundle(written(tmp_path, a_model(LIKES))), lambda: rests.append(None))
    assert len(rests) >= 5


@pytest.mark.parametrize("missing", ["version", "settings"])
def test_a_bundle_that_lacks_a_fact_is_refused(tmp_path, missing):
    model = a_model(LIKES)
    facts = {name: fact for name, fact in facts_of(model).items() if name != missing}
    write_bundle(tmp_path / "bundle", model.arrays(), facts)

    with pytest.raises(BundleError, match=f"missing '{missing}'"):
        read(tmp_path / "bundle")


@pytest.mark.parametrize("settings", [None, 3, "settings", [], {}, {"preferences": None}])
def test_settings_of_another_shape_are_refused(tmp_path, settings):
    model = a_model(LIKES)
    write_bundle(tmp_path / "bundle", model.arrays(), facts_of(model) | {"settings": settings})

    with pytest.raises(BundleError, match=r"^bundle bundle: "):
        read(tmp_path / "bundle")


ANOTHER = a_model({"ann": ["rock"], "bob": ["rock", "trad", "jazz", "folk"]})


@pytest.mark.parametrize(
    ("prefix", "named"),
    [
        ("users", "liked: 3 rows for a vocabulary of 2"),
        ("events", r"liked_indices: 2 at position \d is not in 0..1"),
        ("liked", "liked: 2 rows for a vocabulary of 3"),
        ("dismissed", "dismissed: 2 rows for a vocabulary of 3"),
        ("savers", "savers: 4 rows for a vocabulary of 3"),
    ],
)
def test_parts_of_two_models_do_not_make_one(tmp_path, prefix, named):
    small = a_model({"ann": ["rock"], "bob": ["trad"]})
    other = small if prefix in ("users", "events") else ANOTHER
    foreign = {name: array for name, array in other.arrays().items() if name.startswith(f"{prefix}_")}
    model = a_model({"ann": ["rock", "trad"], "bob": ["jazz"], "cat": ["rock"]})

    with pytest.raises(BundleError, match=named):
        read(written(tmp_path, model, **foreign))


@pytest.mark.parametrize("name", ["user_masses", "event_masses", "popularity"])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda values: values[:-1], r"float32\[\d\]"),
        (lambda values: values.astype(np.float64), r"float64\[\d\]"),
        (lambda values: values[:, None], r"float32\[\d, 1\]"),
    ],
)
def test_a_vector_of_another_shape_or_type_is_named(tmp_path, name, change, found):
    model = a_model(LIKES)

    with pytest.raises(BundleError, match=rf"{name}: expected float32\[\d\], got {found}"):
        read(written(tmp_path, model, **{name: change(model.arrays()[name])}))


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("liked_indices", np.array([0, 9, 1, 2], np.int32), "liked_indices: 9 at position 1"),
        ("liked_weights", np.array([255, 0, 255, 255], np.uint8), "liked_weights: zero at position 1"),
        ("liked_weights", np.array([255], np.uint8), "liked_weights: 1 values for 4"),
        ("liked_indptr", np.array([0, 2, 4, 4], np.int32), "liked_indptr: expected one dimension of int64"),
        ("savers_indices", np.array([0, 0, 1, -1], np.int32), "savers_indices: -1 at position 3"),
        ("savers_indptr", np.array([0, 9, 1, 4], np.int64), "savers_indptr: must not descend"),
        ("dismissed_indices", np.array([5], np.int32), "dismissed_indices: 5"),
        ("users_hashes", np.array([3, 2, 1], np.uint64), "users_hashes: 3 ascending"),
        ("events_positions", np.array([0, 0, 1], np.int32), "events_positions: each of 0..2"),
    ],
)
def test_an_array_out_of_order_or_range_is_named(tmp_path, name, value, named):
    with pytest.raises(BundleError, match=named):
        read(written(tmp_path, a_model(LIKES, hides={"cat": ["jazz"]}), **{name: value}))
