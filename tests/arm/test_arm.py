"""The service's numbers on a Graviton2: compiled for its processor, run by an emulator, held against this machine's.

Compiling there takes long. So a plain run compiles one hot part only; `tox -e arm` (ARM_TESTS=all) takes every arm and
every test of the kernels. What was compiled is kept for as long as the sources stay the same.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.sites import synthetic_site
from core.actions import Action
from core.als import AlsSettings
from core.model import ModelSettings
from service.models import ModelRegistry
from service.recommending.arms import ARMS
from tests.arm import emulator
from tests.sites import VERSION, model_of, write_model

IS_LONG = os.environ.get("ARM_TESTS") == "all"
at_length = pytest.mark.skipif(not IS_LONG, reason="takes minutes under emulation (tox -e arm)")
pytestmark = pytest.mark.skipif(
    not emulator.is_there(), reason="no aarch64 Python and qemu to run it (tests/arm/install makes them)"
)

#: What a plain run compares: the search for the best, the part of a ranking with the most arithmetic. Then all of it.
PLAIN, SUBJECTS = ("votes",), ("neighbourhood", *ARMS)
PEOPLE = 40

#: Instructions of NEON, with what they stand for, by kernels in whose loops they are.
NEON = {
    "core.kernels.votes.find_best": {
        "scores four at a time": r"fmul\s+v\d+\.4s",
        "the greater of four": r"(smax|fmax)\s+v\d+\.4s",
    },
}
NEON_OF_ALL = {
    "core.kernels.neighbourhood.recommend": {
        "votes weighted four at a time": r"fmul\s+v\d+\.4s",
        "and added up": r"fadd\s+v\d+\.4s",
    },
    "core.kernels.als.recommend_by_factors": {"dot products of bytes": r"sdot\s+v\d+\.4s"},
}
#: Instructions for a person, the call from Python included, at most: a third above what they were when this was
#: written, so that another release of Python or numba does not count as a change of the kernels.
MOST_INSTRUCTIONS = {"votes": 95_000, "neighbourhood": 500_000}


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a synthetic site, written on this machine."""
    rows = synthetic_site(300, 400, 9_000, seed=1)
    users = np.repeat(np.arange(300), np.diff(rows.indptr)).tolist()
    acts = [
        (f"u{user}", f"e{event}", Action.SAVE)
        for user, event in zip(users, rows.indices.tolist(), strict=True)
    ]
    settings = ModelSettings(als=AlsSettings(factors=32, iterations=2))
    registry = ModelRegistry(tmp_path_factory.mktemp("models"))
    write_model(registry, model_of(acts, [f"e{number}" for number in range(400)], settings))
    return registry.path(VERSION)


@pytest.fixture(scope="session")
def kernels() -> Path:
    """Where what is compiled for aarch64 from these sources stays."""
    kept = emulator.kept_kernels()
    for other in kept.parent.glob("kernels-*"):
        if other != kept:
            shutil.rmtree(other)
    return kept


class Answers:
    """The output of the program on both machines."""

    def __init__(self, bundle: Path, kernels: Path, directory: Path, subjects: tuple[str, ...]) -> None:
        arguments = [str(emulator.PROGRAM), str(bundle), ",".join(subjects), str(PEOPLE)]
        paths = os.pathsep.join(filter(None, (str(emulator.PROJECT), os.environ.get("PYTHONPATH"))))
        here = {**os.environ, "PYTHONPATH": paths}
        subprocess.run([sys.executable, *arguments, str(directory / "here")], check=True, env=here)
        self.compiled = compiled(arguments, kernels / subjects[0], directory)
        before = files_of(self.compiled)
        self.told = emulator.run([*arguments, str(directory / "there")], self.compiled, counting=True)
        self.is_cache_untouched = files_of(self.compiled) == before
        self.kernels = json.loads((directory / "there" / "kernels.json").read_text("utf-8"))
        self.here, self.there = (
            dict(np.load(directory / name / "answers.npz")) for name in ("here", "there")
        )


@pytest.fixture(scope="session")
def answers(bundle: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return Answers(bundle, kernels, tmp_path_factory.mktemp("arm"), PLAIN)


@pytest.fixture(scope="session")
def answers_of_all(bundle: Path, kernels: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return Answers(bundle, kernels, tmp_path_factory.mktemp("arms"), SUBJECTS)


def compiled(arguments: list[str], kernels: Path, directory: Path) -> Path:
    """The cache of all kernels that the program asks for, made now unless a run has done so to its end."""
    whole = kernels / "whole"
    if not whole.exists():
        shutil.rmtree(kernels, ignore_errors=True)
        emulator.run([*arguments, str(directory / "compiling")], kernels)
        whole.touch()
    return kernels


def files_of(directory: Path) -> dict[Path, int]:
    """Every file with the time when it was last written, ns."""
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*") if path.is_file()}


def test_the_model_of_a_bundle_written_on_x86_gives_the_same_to_the_last_bit(answers: Answers) -> None:
    assert answers.here["votes keys"].all()
    np.testing.assert_array_equal(answers.there["votes keys"], answers.here["votes keys"])


def test_kernels_compiled_for_the_graviton_are_taken_from_the_cache(answers: Answers) -> None:
    assert answers.kernels["hits"] > 0
    assert answers.kernels["misses"] == 0
    assert answers.is_cache_untouched


def test_a_search_takes_no_more_instructions_than_it_did(answers: Answers) -> None:
    (instructions,) = answers.told.instructions

    assert 1_000 < instructions / PEOPLE <= MOST_INSTRUCTIONS["votes"]


@pytest.mark.parametrize("kernel", NEON)
def test_hot_loops_work_on_several_numbers_at_a_time(kernel: str, answers: Answers) -> None:
    assert_has(NEON[kernel], answers.compiled, kernel)


def test_bundles_are_verified_and_keys_sorted_as_on_x86(kernels: Path) -> None:
    assert_passes("tests/core/test_bundle.py", "tests/core/kernels/test_heap.py", kernels=kernels)


@at_length
def test_the_neighbourhood_ranks_and_explains_as_on_x86_to_the_last_bit(answers_of_all: Answers) -> None:
    here = {name: array for name, array in answers_of_all.here.items() if "neighbourhood" in name}
    assert (here["neighbourhood events"] >= 0).sum() > 10 * PEOPLE
    for name, array in here.items():
        np.testing.assert_array_equal(answers_of_all.there[name], array, err_msg=name)


@at_length
def test_every_arm_ranks_as_on_x86(answers_of_all: Answers) -> None:
    """But for powers, which the libraries of two machines may round to different last digits."""
    assert set(answers_of_all.there) == set(answers_of_all.here)
    for name, array in answers_of_all.here.items():
        if array.dtype.kind == "f":
            np.testing.assert_allclose(answers_of_all.there[name], array, rtol=2e-6, atol=1e-7, err_msg=name)
        else:
            np.testing.assert_array_equal(answers_of_all.there[name], array, err_msg=name)


@at_length
def test_kernels_of_every_arm_are_taken_from_the_cache(answers_of_all: Answers) -> None:
    assert answers_of_all.kernels["hits"] > 10
    assert answers_of_all.kernels["misses"] == 0
    assert answers_of_all.is_cache_untouched


@at_length
def test_a_ranking_with_reasons_takes_no_more_instructions_than_it_did(
    answers_of_all: Answers, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told by subject, so that the figures can be read: from a profile to numbers, and to the bytes of an answer."""
    neighbourhood, _, *rest = answers_of_all.told.instructions
    by_arm = {
        arm: [round(count / PEOPLE) for count in rest[3 * place : 3 * place + 2]]
        for place, arm in enumerate(ARMS)
    }
    with capsys.disabled():
        told = f"neighbourhood {neighbourhood / PEOPLE:.0f}, ranking and answer {by_arm}"
        sys.stderr.write(f"\nInstructions for a person: {told}\n")

    assert 1_000 < neighbourhood / PEOPLE <= MOST_INSTRUCTIONS["neighbourhood"]


@at_length
@pytest.mark.parametrize("kernel", NEON_OF_ALL)
def test_hot_loops_of_the_arms_work_on_several_numbers_at_a_time(
    kernel: str, answers_of_all: Answers
) -> None:
    assert_has(NEON_OF_ALL[kernel], answers_of_all.compiled, kernel)


@at_length
def test_every_kernel_agrees_with_its_slow_twin_on_aarch64(kernels: Path) -> None:
    assert_passes("tests/core/kernels", kernels=kernels)


def assert_passes(*files: str, kernels: Path) -> None:
    """Tests pass on aarch64, and there are some."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=emulated"]
    told = emulator.run(["-m", "pytest", *options, *files], kernels / "tests")
    assert re.search(r"^[1-9]\d* passed in ", told.out, re.MULTILINE), told.out


def assert_has(instructions: dict[str, str], kernels: Path, kernel: str) -> None:
    """Some form of a kernel has each of the instructions in one of its loops."""
    texts = [path.read_text("utf-8") for path in kernels.glob(f"assembly/{kernel}-*.s")]
    assert texts, f"{kernel} was never compiled"
    bodies = "\n".join(body for text in texts for body in loops(text))
    for what, pattern in instructions.items():
        assert re.search(rf"^\s+{pattern}", bodies, re.MULTILINE), what


def loops(assembly: str) -> Iterator[str]:
    """Every loop: from a label to a branch after it that leads back to it."""
    lines = assembly.splitlines()
    labels: dict[str, int] = {}
    for number, line in enumerate(lines):
        if (label := re.match(r"^(\.L\w+):", line)) is not None:
            labels[label[1]] = number
        back = re.match(r"^\s+(?:b\.?\w*|cbn?z|tbn?z)\s.*?(\.L\w+)\s*$", line)
        if back is not None and back[1] in labels:
            yield "\n".join(lines[labels[back[1]] : number + 1])
