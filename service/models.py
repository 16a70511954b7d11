"""The registry of models on disk: immutable bundles, and one pointer to the one that serves.

    models/20261122T020000Z/   a bundle (core.bundle)
    models/current             the version that serves, one line of text

The pointer is replaced by a rename, so a reader finds the old version or the new one, never half of either.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.bundle import UNFINISHED, BundleError, open_bundle, read_facts
from core.model import COPY_ON_WRITE, Model, model_from
from service.pacing import no_rest
from service.storage.whole_file import replace_file

_POINTER = "current"
_DELETED = ".deleted-"
_VERSION = re.compile(r"[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")


#: A model that was verified, and the facts of its manifest.
Loaded = tuple[Model, dict[str, Any]]


class NoModelError(Exception):
    """Nothing was published yet."""


@dataclass(frozen=True, slots=True)
class ModelRegistry:
    """The models under one directory."""

    directory: Path

    def path(self, version: str) -> Path:
        """Where the bundle of a version is, or would be."""
        return self.directory / version

    def versions(self) -> list[str]:
        """All versions on disk, oldest first."""
        if not self.directory.is_dir():
            return []
        found = (entry.name for entry in self.directory.iterdir() if entry.is_dir())
        return sorted((name for name in found if _VERSION.fullmatch(name)), key=_age)

    def new_version(self, stamp: str) -> str:
        """A version that is not taken yet: the stamp (20261122T020000Z), with a number where it is taken."""
        taken = set(self.versions())
        return next(
            version
            for version in (stamp, *(f"{stamp}-{number}" for number in range(2, 1_000_000)))
            if version not in taken
        )

    def current(self) -> str | None:
        """The version that serves, None before the first was published."""
        try:
            # What a failing disk made of the pointer is a version that is not there, which loading it will say.
            return (self.directory / _POINTER).read_text("utf-8", errors="replace").strip() or None
        except FileNotFoundError:
            return None

    def publish(self, version: str) -> None:
        """Make a version that is on disk the one that serves. Raises NoModelError when it is not there."""
        if not self.path(version).is_dir():
            raise NoModelError(f"there is no model {version} in {self.directory}")
        with self._changing():
            self._point_to(version)

    def facts(self, version: str) -> dict[str, Any]:
        """What the manifest of a version says. Raises BundleError when that cannot be trusted."""
        return dict(read_facts(self.path(version)))

    def roll_back(self, version: str | None = None, rest: Callable[[], None] = no_rest) -> Loaded:
        """Publish an earlier version again, by default the one before the current one; returns it as `load` does.

        `rest` as for `load`.
        Raises NoModelError when there is none, BundleError when it cannot be trusted; the current one serves on then.
        """
        if version is None:
            version = self._before_current()
        elif version not in self.versions():
            raise NoModelError(f"there is no model {version} in {self.directory}")
        with self._changing():
            loaded = self.load(version, rest)
            self._point_to(version)
        return loaded

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest versions but for `keep` ≥ 2 and the current one; returns which."""
        with self._changing():
            current = self.current()
            old = [version for version in self.versions()[:-keep] if version != current]
            for version in old:
                # Renamed first: a version is there whole or not at all, also when this is cut short.
                self.path(version).rename(self.directory / f"{_DELETED}{version}")
        self._remove(f"{_DELETED}*")
        return old

    def clean(self) -> None:
        """Remove what trainings and deletions that were cut short have left behind. Only while no other can train."""
        if self.directory.is_dir():
            self._remove(f"*{UNFINISHED}", f"{_DELETED}*")
            with self._changing():  # nobody is half-way through replacing the pointer
                self._remove(f".{_POINTER}-*")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keep other processes from moving the pointer, or deleting what it is about to point to."""
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # gone with the process, however that ends
            yield
        finally:
            os.close(descriptor)

    def _point_to(self, version: str) -> None:
        replace_file(self.directory / _POINTER, f"{version}\n")

    def _remove(self, *patterns: str) -> None:
        for path in (found for pattern in patterns for found in self.directory.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _before_current(self) -> str:
        current = self.current()
        earlier = [one for one in self.versions() if current is not None and _age(one) < _age(current)]
        if not earlier:
            raise NoModelError(f"there is no model before {current} in {self.directory}")
        return earlier[-1]

    def load(self, version: str | None = None, rest: Callable[[], None] = no_rest) -> Loaded:
        """A verified model, the current one by default, with the facts of its manifest.

        `rest` is called again and again meanwhile, for whoever loads beside other work.
        Raises NoModelError when there is none, BundleError when what is there cannot be trusted.
        """
        version = version or self.current()
        if version is None:
            raise NoModelError(f"no model was published in {self.directory}; train one with: craic train")
        bundle = open_bundle(self.path(version), COPY_ON_WRITE, rest)
        model = model_from(bundle, rest)
        if model.version != version:
            raise BundleError(self.path(version), f"holds model {model.version}")
        return model, dict(bundle.facts)


def _age(version: str) -> tuple[str, int]:
    """What sorts versions by age: -10 comes after -9."""
    stamp, _, number = version.partition("-")
    return stamp, int(number or 1)
