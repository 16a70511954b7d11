"""`python -m tests.training.killing DIRECTORY`: publish a model again and again, killed one step later each time.

A step is a file that is opened, made, renamed, removed or fsynced; the kill (SIGKILL) comes just before it. After
each the registry must hold the old model or the new one, whole, and the next training must be able to publish. Prints
what served after each kill, one letter a step: o the old model, n the new one.
"""

import itertools
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

from service.models import ModelRegistry
from tests.sites import a_model, write_model

OLDEST, OLD, NEW, NEXT = (f"2027010{day}T020000Z" for day in (1, 2, 3, 4))
MODEL = a_model({"ann": ["rock", "trad"], "bob": ["trad"]})
_STEPS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def publish(registry: ModelRegistry, version: str) -> None:
    """What a training does once its model is found good (`training.pipeline`)."""
    registry.clean()
    write_model(registry, replace(MODEL, version=version))
    registry.publish(version)
    registry.prune(2)


def publish_and_die(registry: ModelRegistry, step: int) -> None:
    """Publish the new model and die just before this step, if there are so many."""
    steps = itertools.count()
    fsync = os.fsync

    def note() -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def noted_fsync(descriptor: int) -> None:
        note()
        fsync(descriptor)

    sys.addaudithook(lambda event, _: note() if event in _STEPS else None)
    os.fsync = noted_fsync  # which tells no audit hook
    publish(registry, NEW)


def survive(prepared: Path, place: Path, step: int) -> str | None:
    """Which model serves after a kill; None when there are not so many steps. Raises where anything is not whole."""
    shutil.copytree(prepared, place)
    registry = ModelRegistry(place)
    child = os.fork()
    if child == 0:
        publish_and_die(registry, step)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    served = registry.load()[0].version
    assert served in (OLD, NEW), served
    for version in registry.versions():
        registry.load(version)
    publish(registry, NEXT)
    assert registry.load()[0].version == NEXT
    assert sorted(path.name for path in place.iterdir()) == [*registry.versions(), "current"]
    shutil.rmtree(place)
    return served if os.WIFSIGNALED(status) else None


def main(directory: Path) -> None:
    """Kill at every step there is."""
    prepared = ModelRegistry(directory / "prepared")
    for version in (OLDEST, OLD):
        publish(prepared, version)
    served = (survive(prepared.directory, directory / str(step), step) for step in itertools.count())
    letters = ("o" if one == OLD else "n" for one in itertools.takewhile(bool, served))
    sys.stdout.write("".join(letters) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
