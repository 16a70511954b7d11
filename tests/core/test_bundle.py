import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import bundle as bundles
from core.bundle import MANIFEST, UNFINISHED, BundleError, open_bundle, write_bundle

ARRAYS = {
    "weights": np.array([1, 2, 255], np.uint8),
    "scores": np.arange(6, dtype=np.float32).reshape(2, 3),
    "indptr": np.array([0, 3], np.int64),
    "flags": np.array([True, False]),
    "nobody": np.zeros(0, np.int32),
    "no_rows": np.zeros((0, 4), np.float64),
    "one": np.array(0.5),
}
FACTS = {
    "version": "v1",
    "metrics": {"ndcg_at_10": 0.1 + 0.2, "users": 3},
    "city": "Dún Laoghaire",
    "parts": [1],
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "v1", ARRAYS, FACTS)
    return tmp_path / "v1"


def refusal(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        open_bundle(directory)
    return str(caught.value)


def rewrite_manifest(directory: Path, change: Callable[[dict[str, Any]], Any], *, sign: bool = True) -> None:
    """Change the manifest; with `sign` its own checksum is made to agree."""
    path = directory / MANIFEST
    content = json.loads(path.read_text())
    signature = content.pop("sha256")
    change(content)
    path.write_text(json.dumps(content | {"sha256": bundles._checksum(content) if sign else signature}))


# --- what is written comes back ---


def test_arrays_and_facts_come_back_as_they_were(directory: Path) -> None:
    opened = open_bundle(directory)
    assert dict(opened.facts) == FACTS
    assert set(opened.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(opened.arrays[name], array)
        assert opened.arrays[name].dtype == array.dtype
        assert opened.arrays[name].shape == array.shape


def test_whoever_opens_a_bundle_may_rest_while_each_file_is_read(directory: Path) -> None:
    rests: list[None] = []
    bundle = open_bundle(directory, rest=lambda: rests.append(None))
    assert len(rests) >= 2 * len(bundle.arrays)


def test_arrays_are_mapped_and_cannot_be_written(directory: Path) -> None:
    scores = open_bundle(directory).arrays["scores"]
    assert type(scores) is np.ndarray
    assert isinstance(scores.base, np.memmap)
    for array in open_bundle(directory).arrays.values():
        assert not array.flags.writeable


def test_an_array_opened_copy_on_write_changes_in_this_process_only(directory: Path) -> None:
    private = open_bundle(directory, copy_on_write={"weights"})
    private.arrays["weights"][0] = 9
    assert not private.arrays["scores"].flags.writeable
    assert open_bundle(directory).arrays["weights"].tolist() == [1, 2, 255]


def test_facts_and_arrays_cannot_be_replaced(directory: Path) -> None:
    opened = open_bundle(directory)
    with pytest.raises(TypeError):
        opened.facts["version"] = "v2"
    with pytest.raises(TypeError):
        opened.arrays["weights"] = np.zeros(3)


def test_arrays_that_do_not_lie_in_c_order_come_back_equal(tmp_path: Path) -> None:
    grid = np.arange(12, dtype=np.int16).reshape(3, 4)
    write_bundle(tmp_path / "v1", {"columns": grid.T, "every_other": grid[:, ::2]}, {})
    opened = open_bundle(tmp_path / "v1")
    np.testing.assert_array_equal(opened.arrays["columns"], grid.T)
    np.testing.assert_array_equal(opened.arrays["every_other"], grid[:, ::2])


def test_facts_with_numbers_for_keys_come_back_as_json_has_them(tmp_path: Path) -> None:
    write_bundle(tmp_path / "v1", {}, {"counts": {10: 1, 9: 2}})
    assert open_bundle(tmp_path / "v1").facts["counts"] == {"10": 1, "9": 2}


def test_the_manifest_describes_each_file(directory: Path) -> None:
    described = json.loads((directory / MANIFEST).read_text())["arrays"]["scores"]
    path = directory / "scores.npy"
    assert described == {
        "dtype": "<f4",
        "shape": [2, 3],
        "bytes": path.stat().st_size,
        "sha256": bundles._sha256(path),
    }


# --- writing is all or nothing ---


def test_a_bundle_is_never_overwritten(directory: Path) -> None:
    with pytest.raises(BundleError, match="bundle v1: exists already"):
        write_bundle(directory, {}, {})
    assert dict(open_bundle(directory).facts) == FACTS


def test_of_two_writers_at_once_the_second_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest = bundles._write_manifest

    def while_another_finishes(unfinished: Path, content: dict[str, Any]) -> None:
        monkeypatch.setattr(bundles, "_write_manifest", write_manifest)
        write_bundle(tmp_path / "v1", {}, {"writer": "first"})
        write_manifest(unfinished, content)

    monkeypatch.setattr(bundles, "_write_manifest", while_another_finishes)
    with pytest.raises(BundleError, match="bundle v1: cannot be put in place"):
        write_bundle(tmp_path / "v1", ARRAYS, {"writer": "second"})
    assert open_bundle(tmp_path / "v1").facts["writer"] == "first"
    assert list(tmp_path.iterdir()) == [tmp_path / "v1"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write_bundle(tmp_path / "v1", ARRAYS, FACTS)
    assert list(tmp_path.iterdir()) == []


def test_everything_is_on_disk_before_the_bundle_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    sync, rename = os.fsync, Path.rename

    def note_sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    def note_rename(source: Path, target: Path) -> Path:
        assert source.name.endswith(UNFINISHED)
        assert {*source.iterdir(), source} == set(synced)
        synced.clear()
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note_rename)
    write_bundle(tmp_path / "v1", ARRAYS, FACTS)
    assert synced == [tmp_path]


@pytest.mark.parametrize(
    ("arrays", "facts", "complaint"),
    [
        ({"a": np.array([1.0, np.nan])}, {}, "a: holds NaN or infinity"),
        ({"a": np.array([np.inf], np.float32)}, {}, "a: holds NaN or infinity"),
        ({"a": np.array(["x"])}, {}, "a: arrays of <U1 cannot be kept"),
        ({"a": np.array([{}], object)}, {}, "a: arrays of object cannot be kept"),
        ({"a": np.array([1j])}, {}, "a: arrays of complex128 cannot be kept"),
        ({"../a": np.zeros(1)}, {}, "'../a': an array's name"),
        ({"A": np.zeros(1)}, {}, "'A': an array's name"),
        ({"a": np.zeros(1)}, {"metrics": {"map": float("nan")}}, "fact metrics: Out of range float"),
        ({"a": np.zeros(1)}, {"count": np.int64(3)}, "fact count: .*int64 is not JSON"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(
    tmp_path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BundleError, match=f"^bundle v1: {complaint}"):
        write_bundle(tmp_path / "v1", arrays, facts)
    assert list(tmp_path.iterdir()) == []


# --- damage is noticed and named ---


def test_a_missing_bundle_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "v9") == "bundle v9: manifest.json: No such file or directory"


def test_a_missing_manifest_is_named(directory: Path) -> None:
    (directory / MANIFEST).unlink()
    assert refusal(directory) == "bundle v1: manifest.json: No such file or directory"


def test_a_missing_file_is_named(directory: Path) -> None:
    (directory / "scores.npy").unlink()
    assert refusal(directory) == "bundle v1: scores.npy: missing"


def test_an_extra_file_is_named(directory: Path) -> None:
    (directory / "more.npy").touch()
    assert refusal(directory) == "bundle v1: more.npy: not in the manifest"


def test_a_directory_in_place_of_a_file_is_refused(directory: Path) -> None:
    (directory / "scores.npy").unlink()
    (directory / "scores.npy").mkdir()
    rewrite_manifest(
        directory, lambda m: m["arrays"]["scores"].update(bytes=(directory / "scores.npy").stat().st_size)
    )
    assert refusal(directory) == "bundle v1: scores.npy: Is a directory"


@pytest.mark.parametrize("kept", [0, 7, 100, 151])
def test_a_truncated_file_is_named_with_its_sizes(directory: Path, kept: int) -> None:
    os.truncate(directory / "scores.npy", kept)
    assert refusal(directory) == f"bundle v1: scores.npy: {kept} bytes instead of 152"


def test_a_file_that_grew_is_named(directory: Path) -> None:
    with (directory / "nobody.npy").open("ab") as file:
        file.write(b"\0")
    assert refusal(directory) == "bundle v1: nobody.npy: 129 bytes instead of 128"


@pytest.mark.parametrize("position", [0, 20, 127, 128, 151])
def test_one_altered_bit_anywhere_is_noticed(directory: Path, position: int) -> None:
    content = bytearray((directory / "scores.npy").read_bytes())
    content[position] ^= 1
    (directory / "scores.npy").write_bytes(content)
    assert refusal(directory) == "bundle v1: scores.npy: altered (sha256 differs)"


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("dtype", "<f8", r"<f4[2, 3] instead of <f8[2, 3]"),
        ("shape", [3, 2], r"<f4[2, 3] instead of <f4[3, 2]"),
        ("shape", [6], r"<f4[2, 3] instead of <f4[6]"),
    ],
)
def test_another_dtype_or_shape_than_the_manifest_says_is_named(
    directory: Path, field: str, value: Any, complaint: str
) -> None:
    rewrite_manifest(directory, lambda manifest: manifest["arrays"]["scores"].update({field: value}))
    assert refusal(directory) == f"bundle v1: scores.npy: {complaint}"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, bundles._CHUNK, -1])
def test_nan_and_infinity_are_named_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: float, position: int
) -> None:
    scores = np.zeros(bundles._CHUNK + 5, np.float32)
    scores[position] = bad
    with monkeypatch.context() as patch:
        patch.setattr(bundles, "_finite", lambda array: True)
        write_bundle(tmp_path / "v1", {"scores": scores}, {})
    assert refusal(tmp_path / "v1") == "bundle v1: scores.npy: holds NaN or infinity"


@pytest.mark.parametrize("content", [b"no array at all", b"\x93NUMPY\x01\x00\x10\x00{'descr': broken"])
def test_a_file_that_is_no_array_is_named(directory: Path, content: bytes) -> None:
    replace_file(directory, "scores", content)
    assert refusal(directory).startswith("bundle v1: scores.npy: not a plain array: ")


def test_a_pickled_array_is_never_loaded(directory: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "pickled.npy", np.array([{"code": "runs"}], object), allow_pickle=True)
    replace_file(directory, "scores", (tmp_path / "pickled.npy").read_bytes())
    assert refusal(directory).startswith("bundle v1: scores.npy: not a plain array: ")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_manifest_that_is_not_json_is_named(directory: Path, content: bytes) -> None:
    (directory / MANIFEST).write_bytes(content)
    assert refusal(directory).startswith("bundle v1: manifest.json: not JSON: ")


@pytest.mark.parametrize("content", ["[]", "7", "{}", '{"format": 1}', '{"format": "2"}'])
def test_a_manifest_of_an_unknown_format_is_named(directory: Path, content: str) -> None:
    (directory / MANIFEST).write_text(content)
    assert refusal(directory).startswith("bundle v1: manifest.json: format ")


def test_an_edited_fact_is_noticed(directory: Path) -> None:
    rewrite_manifest(directory, lambda manifest: manifest["facts"].update(version="v2"), sign=False)
    assert refusal(directory) == "bundle v1: manifest.json: altered (its own checksum differs)"


def test_a_manifest_laid_out_anew_is_still_the_same(directory: Path) -> None:
    rewrite_manifest(directory, lambda manifest: None, sign=False)
    assert dict(open_bundle(directory).facts) == FACTS


def replace_file(directory: Path, name: str, content: bytes) -> None:
    """Put other bytes in a file and let the manifest agree with them."""
    path = directory / f"{name}.npy"
    path.write_bytes(content)
    described = {"bytes": len(content), "sha256": bundles._sha256(path)}
    rewrite_manifest(directory, lambda manifest: manifest["arrays"][name].update(described))
