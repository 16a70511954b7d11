"""How compiled kernels come back from disk at a start: without all that numba needs to compile others."""

from typing import Any

from numba.core.caching import FunctionCache
from numba.core.runtime.nrt import rtsys


class LeanCache(FunctionCache):
    """numba's own cache, which before it loads anything lets the compiler learn all types and functions it knows.

    Finished code needs only what it calls for its memory; if something is compiled later, numba catches up then. That
    is a tenth of a start's processor time.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The compiled form of the kernel for a signature, None when there is none on disk."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
