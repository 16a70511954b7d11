import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.bundle import MANIFEST, BundleError
from service.models import ModelRegistry, NoModelError
from tests.sites import a_model, write_model

OLD, NEW = "20270101T020000Z", "20270102T020000Z"
MODEL = a_model({"ann": ["rock", "trad"], "bob": ["trad"]})


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """Two models on disk, none published."""
    registry = ModelRegistry(tmp_path / "models")
    for version in (OLD, NEW):
        write_model(registry, replace(MODEL, version=version))
    return registry


def test_before_the_first_model_there_is_none(tmp_path):
    registry = ModelRegistry(tmp_path / "models")

    assert (registry.versions(), registry.current()) == ([], None)
    with pytest.raises(
        NoModelError, match=r"no model was published in .*models; train one with: craic train"
    ):
        registry.load()


def test_a_model_on_disk_does_not_serve_until_it_is_published(registry):
    assert registry.current() is None

    registry.publish(NEW)

    model, facts = registry.load()
    assert registry.current() == model.version == facts["version"] == NEW
    assert list(model.users) == ["ann", "bob"]


def test_any_version_can_be_loaded_and_published_again(registry):
    registry.publish(NEW)

    assert registry.load(OLD)[0].version == OLD
    registry.publish(OLD)
    assert registry.load()[0].version == OLD


def test_versions_come_in_the_order_of_their_making(registry):
    made_later = [f"{NEW}-{number}" for number in (2, 9, 10, 11)]
    for version in made_later:
        registry.path(version).mkdir()

    assert registry.versions() == [OLD, NEW, *made_later]


def test_only_whole_bundles_count_as_versions(registry):
    for name in (f"{NEW}-3.deadbeef.unfinished", "lost+found", f"{NEW}-x", "20270103"):
        (registry.directory / name).mkdir()
    (registry.directory / "20270104T020000Z").write_text("a file")

    assert registry.versions() == [OLD, NEW]


def test_a_version_that_is_taken_gets_a_number(registry):
    assert registry.new_version("20270103T020000Z") == "20270103T020000Z"
    assert registry.new_version(NEW) == f"{NEW}-2"

    registry.path(f"{NEW}-2").mkdir()

    assert registry.new_version(NEW) == f"{NEW}-3"


def test_publishing_what_is_not_there_leaves_the_old_model_serving(registry):
    registry.publish(OLD)

    with pytest.raises(NoModelError, match="there is no model 20300101T000000Z in"):
        registry.publish("20300101T000000Z")

    assert registry.load()[0].version == OLD


def test_publishing_that_fails_half_way_leaves_the_old_model_serving(registry, monkeypatch):
    registry.publish(OLD)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        registry.publish(NEW)

    assert registry.current() == OLD


def test_the_pointer_is_replaced_whole_and_nothing_is_left_behind(registry):
    registry.publish(OLD)
    with (registry.directory / "current").open() as before:
        registry.publish(NEW)

        assert before.read() == f"{OLD}\n"
    assert (registry.directory / "current").read_text() == f"{NEW}\n"
    assert sorted(path.name for path in registry.directory.iterdir()) == [OLD, NEW, "current"]


@pytest.mark.parametrize("pointer", ["20300101T000000Z\n", "nonsense", "../elsewhere", "\x00\x00\n", "."])
def test_a_pointer_to_what_is_no_model_is_named(registry, pointer):
    (registry.directory / "current").write_text(pointer)

    with pytest.raises((BundleError, NoModelError), match=r"current|bundle"):
        registry.load()


def test_a_pointer_that_is_no_text_is_named(registry):
    (registry.directory / "current").write_bytes(b"\xff\xfe\x00")

    with pytest.raises((BundleError, NoModelError)):
        registry.load()


def test_an_empty_pointer_is_no_model(registry):
    (registry.directory / "current").write_text("\n")

    with pytest.raises(NoModelError, match="no model was published"):
        registry.load()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x00"),
    ],
    ids=["missing", "truncated", "altered"],
)
@pytest.mark.parametrize("name", ["popularity.npy", MANIFEST])
def test_damage_is_named_with_the_version_and_the_file(registry, damage, name):
    damage(registry.path(NEW) / name)

    with pytest.raises(BundleError, match=f"bundle {NEW}: {name}"):
        registry.load(NEW)


def test_a_model_that_is_not_of_the_version_it_stands_under_is_refused(registry):
    registry.path(NEW).rename(registry.path("20270105T020000Z"))

    with pytest.raises(BundleError, match=f"bundle 20270105T020000Z: holds model {NEW}"):
        registry.load("20270105T020000Z")


def test_parts_that_do_not_fit_together_are_refused_by_name(registry):
    broken = replace(MODEL, version="20270106T020000Z", popularity=np.zeros(7, np.float32))
    write_model(registry, broken)

    with pytest.raises(BundleError, match=r"bundle 20270106T020000Z: popularity: expected float32\[2\]"):
        registry.load(broken.version)


def test_going_back_publishes_the_version_before_the_current_one(registry):
    registry.publish(NEW)

    assert registry.roll_back()[0].version == OLD
    assert registry.current() == OLD
    with pytest.raises(NoModelError, match=f"there is no model before {OLD} in"):
        registry.roll_back()


def test_going_back_to_a_named_version_may_also_go_forward(registry):
    registry.publish(OLD)

    assert registry.roll_back(NEW)[0].version == NEW
    with pytest.raises(NoModelError, match="there is no model elsewhere in"):
        registry.roll_back("elsewhere")
    assert registry.current() == NEW


def test_going_back_to_a_damaged_model_changes_nothing(registry):
    registry.publish(NEW)
    (registry.path(OLD) / "popularity.npy").write_bytes(b"")

    with pytest.raises(BundleError, match=OLD):
        registry.roll_back()

    assert registry.current() == NEW


def test_of_old_models_the_last_few_and_the_current_one_are_kept(registry):
    newer = [f"{NEW}-{number}" for number in range(2, 6)]
    for version in newer:
        write_model(registry, replace(MODEL, version=version))
    registry.publish(OLD)

    assert registry.prune(keep=2) == [NEW, *newer[:2]]

    assert registry.versions() == [OLD, *newer[2:]]
    assert sorted(path.name for path in registry.directory.iterdir()) == [OLD, *newer[2:], "current"]


def test_the_facts_of_a_model_are_told_without_its_arrays(registry):
    (registry.path(OLD) / "popularity.npy").unlink()

    assert registry.facts(OLD)["version"] == OLD
    (registry.path(OLD) / MANIFEST).write_text("{}")
    with pytest.raises(BundleError, match=OLD):
        registry.facts(OLD)


def test_what_a_crash_left_behind_is_cleaned_away_and_nothing_else(registry):
    registry.publish(NEW)
    for name in (f"{NEW}-2.deadbeef.unfinished", f".deleted-{OLD}-3"):
        (registry.directory / name).mkdir()
        (registry.directory / name / "popularity.npy").write_bytes(b"")
    (registry.directory / ".current-4711").write_text(OLD)
    (registry.directory / "settings.json").write_text("{}")

    registry.clean()

    assert sorted(path.name for path in registry.directory.iterdir()) == [
        OLD,
        NEW,
        "current",
        "settings.json",
    ]
    assert registry.load()[0].version == NEW


def test_before_the_first_training_there_is_nothing_to_clean(tmp_path):
    ModelRegistry(tmp_path / "models").clean()
