"""A model on disk: plain .npy files and a manifest, written once and verified whenever it is opened.

Nothing is pickled: opening a bundle runs no code. Arrays are mapped: processes share them.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FORMAT = 2
MANIFEST = "manifest.json"

#: The ending of a directory that is still being written. Whatever a crash leaves behind is called so.
UNFINISHED = ".unfinished"

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KINDS = "biuf"  # booleans, whole numbers and floats
_CHUNK = 1 << 17  # numbers
_BLOCK = 1 << 19  # bytes


class BundleError(Exception):
    """A bundle cannot be written, or is not what was written; the message says which and why."""

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(f"bundle {directory.name}: {reason}")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle: the `facts` it was written with, and its arrays, mapped from disk.

    The arrays are read-only, or private copies-on-write where `open_bundle` was asked for it.
    """

    directory: Path
    facts: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def write_bundle(directory: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Publish `arrays` and `facts` (JSON values by name) as `directory`, whole and durable, or not at all.

    Everything is written and fsynced beside its place, then renamed into it. BundleError when `directory`
    exists, a name or dtype cannot be kept, an array holds NaN or infinity, or a fact is not JSON; OSError
    when the disk fails.
    """
    _check_arrays(directory, arrays)
    facts = _plain(directory, facts)
    if directory.exists():
        raise BundleError(directory, "exists already, and bundles never change")
    unfinished = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}{UNFINISHED}")
    unfinished.mkdir(parents=True)
    try:
        described = {name: _write_array(unfinished, name, array) for name, array in arrays.items()}
        _write_manifest(unfinished, {"format": FORMAT, "facts": facts, "arrays": described})
        _fsync(unfinished)
        _rename(unfinished, directory)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _fsync(directory.parent)


def read_facts(directory: Path) -> Mapping[str, Any]:
    """What a bundle's manifest says of it, without looking at the arrays. Raises BundleError as `open_bundle`."""
    facts = _read_manifest(directory)["facts"]
    return MappingProxyType(facts)


def open_bundle(
    directory: Path, copy_on_write: Collection[str] = (), rest: Callable[[], None] = lambda: None
) -> Bundle:
    """Verify every file of a bundle and map its arrays; `rest` is called again and again meanwhile.

    The arrays named in `copy_on_write` may be written to, which changes this process's own pages and never
    the file. BundleError names what is wrong: a file missing, extra, truncated or altered, an array of
    another dtype or shape than the manifest says or with NaN or infinity in it, an unknown format.
    """
    try:
        manifest = _read_manifest(directory)
        _check_files(directory, manifest["arrays"])
        arrays = {}
        for name, description in manifest["arrays"].items():
            mode: Literal["r", "c"] = "c" if name in copy_on_write else "r"
            arrays[name] = _verified_array(directory, name, description, mode, rest)
            rest()
    except OSError as error:
        raise BundleError(directory, f"{Path(error.filename or directory).name}: {error.strerror}") from error
    return Bundle(directory, MappingProxyType(manifest["facts"]), MappingProxyType(arrays))


# --- writing ---


def _check_arrays(directory: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise BundleError(directory, f"{name!r}: an array's name is a-z, 0-9 and _ after a letter")
        if array.dtype.kind not in _KINDS:
            raise BundleError(directory, f"{name}: arrays of {array.dtype} cannot be kept")
        if not _finite(array):
            raise BundleError(directory, f"{name}: holds NaN or infinity")


def _plain(directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as they will be read back; encoded one at a time, so that a bad one can be named."""
    plain = {}
    for name, fact in facts.items():
        try:
            plain[name] = json.loads(json.dumps(fact, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise BundleError(directory, f"fact {name}: {error}") from error
    return plain


def _write_array(directory: Path, name: str, array: NDArray[Any]) -> dict[str, Any]:
    """Write one array and describe it for the manifest."""
    path = directory / _file(name)
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.asarray(array, order="C"), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "bytes": path.stat().st_size,
        "sha256": _sha256(path),
    }


def _write_manifest(directory: Path, content: dict[str, Any]) -> None:
    with (directory / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(
            content | {"sha256": _checksum(content)}, file, indent=1, sort_keys=True, ensure_ascii=False
        )
        file.flush()
        os.fsync(file.fileno())


def _rename(unfinished: Path, directory: Path) -> None:
    try:
        unfinished.rename(directory)
    except OSError as error:
        raise BundleError(directory, f"cannot be put in place: {error.strerror}") from error


def _fsync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- verifying ---


def _read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest's content, once its format is known and its own checksum is right."""
    try:
        content = json.loads((directory / MANIFEST).read_bytes())
    except ValueError as error:
        raise BundleError(directory, f"{MANIFEST}: not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise BundleError(directory, f"{MANIFEST}: format {found!r} is unknown, expected {FORMAT}")
    if content.pop("sha256", None) != _checksum(content):
        raise BundleError(directory, f"{MANIFEST}: altered (its own checksum differs)")
    return content


def _check_files(directory: Path, described: Mapping[str, Any]) -> None:
    expected = {MANIFEST, *map(_file, described)}
    found = {path.name for path in directory.iterdir()}
    for name in sorted(expected - found):
        raise BundleError(directory, f"{name}: missing")
    for name in sorted(found - expected):
        raise BundleError(directory, f"{name}: not in the manifest")


def _verified_array(
    directory: Path,
    name: str,
    description: Mapping[str, Any],
    mode: Literal["r", "c"],
    rest: Callable[[], None],
) -> NDArray[Any]:
    path = directory / _file(name)
    size = path.stat().st_size
    if size != description["bytes"]:
        raise BundleError(directory, f"{path.name}: {size} bytes instead of {description['bytes']}")
    if _sha256(path, rest) != description["sha256"]:
        raise BundleError(directory, f"{path.name}: altered (sha256 differs)")
    try:
        array = _map(path, mode)
    except (ValueError, SyntaxError, TokenError) as error:  # the header is a Python literal
        raise BundleError(directory, f"{path.name}: not a plain array: {error}") from error
    found, expected = (array.dtype.str, list(array.shape)), (description["dtype"], description["shape"])
    if found != expected:
        raise BundleError(
            directory, f"{path.name}: {found[0]}{found[1]} instead of {expected[0]}{expected[1]}"
        )
    if not _finite(array):
        raise BundleError(directory, f"{path.name}: holds NaN or infinity")
    return array


# --- both ---


def _map(path: Path, mode: Literal["r", "c"]) -> NDArray[Any]:
    """The array in a file, mapped read-only or copy-on-write.

    As a plain ndarray: numba takes it faster than numpy's subclass `memmap`.
    """
    return np.asarray(np.lib.format.open_memmap(path, mode))


def _finite(array: NDArray[Any]) -> bool:
    """Whether an array has no NaN and no infinity, looked through in chunks of bounded memory."""
    return array.dtype.kind != "f" or all(np.isfinite(chunk).all() for chunk in _chunks(array))


def _chunks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    flat = array.reshape(-1)
    return (flat[start : start + _CHUNK] for start in range(0, flat.size, _CHUNK))


def _file(name: str) -> str:
    return f"{name}.npy"


def _sha256(path: Path, rest: Callable[[], None] = lambda: None) -> str:
    digest, block = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            digest.update(block[:size])
            rest()
    return digest.hexdigest()


def _checksum(content: Mapping[str, Any]) -> str:
    """sha256 of the manifest's content, however its file is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
