"""What must be in the environment before numpy and numba are first imported."""

import hashlib
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path


def prepare_environment(environment: MutableMapping[str, str], craic_home: Path) -> None:
    """Give compiled kernels a place that can be written to, and keep BLAS from starting threads of its own.

    What is set already stays: an image may bring its own cache of kernels.
    """
    environment.setdefault("NUMBA_CACHE_DIR", str(craic_home / "cache" / f"kernels-{kernels_digest()}"))
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")


def kernels_digest() -> str:
    """Tells one version of the kernels from another.

    numba compiles a kernel anew when its own file has changed, but not when that of a function merged into it has.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for folder in ("core", "service/recommending"):
        for source in sorted((root / folder).rglob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def leave_out_extras() -> None:
    """Keep numba from loading what it can do without where that happens to be installed.

    SciPy takes 13 MB a process; CFFI brings a parser of C and YAML one of numba's own settings, a thirtieth of a start.
    """
    for name in ("scipy", "cffi", "yaml"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type] # None makes an import fail (importlib's rule)


def prepare_this_process() -> None:
    """The same for this process, before its settings are read and checked."""
    prepare_environment(os.environ, Path(os.environ.get("CRAIC_HOME") or ".craic").expanduser().resolve())
