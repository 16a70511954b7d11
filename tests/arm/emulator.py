"""An aarch64 Python as on a Graviton2, run by qemu: what `tests/arm/install` has unpacked."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from service.process import kernels_digest

PROJECT = Path(__file__).parents[2]
ROOT = Path(__file__).with_name("root")
PROGRAM = Path(__file__).with_name("program.py")
#: What the kernels are compiled for, as in Dockerfile.arm64.
PROCESSOR = "neoverse-n1"

_QEMU = ROOT / "host" / "usr" / "bin" / "qemu-aarch64"
_PYTHON = ROOT / "usr" / "bin" / "python3.11"
_COUNTING = ROOT / "host" / "counting.so"
#: Variables that are about this machine's processor and libraries.
_OF_THIS_MACHINE = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
#: Compiling all kernels takes a good part of this.
_PATIENCE_SECONDS = 3_000.0


class EmulationError(Exception):
    """A program did not end well on aarch64; the message holds the end of what it said."""


def is_there() -> bool:
    """Whether tests/arm/install could get what it takes."""
    return (ROOT / ".installed").is_file()


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a program."""

    out: str
    instructions: tuple[int, ...]  #: between one telling and the next (`tests.arm.program.tell`)


def run(arguments: Sequence[str], kernels: Path, *, counting: bool = False) -> Told:
    """Run that Python with `arguments` in the project's directory. Raises EmulationError.

    Compiled kernels are kept under `kernels`. Counting instructions takes several times as long.
    """
    guest = {
        "PYTHONHOME": str(ROOT / "usr"),
        "PYTHONPATH": f"{ROOT / 'packages'}:{PROJECT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "NUMBA_CPU_NAME": PROCESSOR,
        "NUMBA_CACHE_DIR": str(kernels),
        "OPENBLAS_NUM_THREADS": "1",
    }
    settings = [word for name, value in guest.items() for word in ("-E", f"{name}={value}")]
    unset = [word for name in _OF_THIS_MACHINE for word in ("-U", name)]
    plugin = ["-plugin", str(_COUNTING)] if counting else []
    libraries = next((ROOT / "host" / "usr" / "lib").glob("*-linux-gnu"), ROOT)
    emulated = [str(_QEMU), "-cpu", PROCESSOR, "-L", str(ROOT), *plugin, *unset, *settings]
    done = subprocess.run(
        [*emulated, str(_PYTHON), *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries)},
        timeout=_PATIENCE_SECONDS,
    )
    if done.returncode != 0:
        raise EmulationError(f"ended with {done.returncode}\n{done.stdout[-8_000:]}{done.stderr[-4_000:]}")
    told = [int(count) for count in re.findall(r"^instructions (\d+)$", done.stderr, re.MULTILINE)]
    return Told(done.stdout, tuple(after - before for before, after in pairwise(told)))


def kept_kernels() -> Path:
    """Where kernels compiled for aarch64 are kept from one run to the next: for these sources only."""
    return ROOT / f"kernels-{kernels_digest()}"
