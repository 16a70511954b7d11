"""How every kernel is compiled, said once.

No fastmath flag is set: the hot loops are gathers and scatters, which no flag makes faster, and plain IEEE arithmetic
(only +, ×, ÷ and √) gives the same bits on x86-64, on Arm and in the readable twins of `tests/oracles.py`.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba.core import config

from core.kernels.caching import LeanCache
from core.kernels.held import type_of


def _kept(**options: Any) -> Callable[..., Any]:
    """numba's decorator with these options, for kernels that are kept on disk."""
    compiled = numba.njit(cache=True, error_model="numpy", **options)

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        dispatcher: Callable[..., Any] = compiled(function)
        if not config.DISABLE_JIT:  # type: ignore[attr-defined]
            dispatcher._cache = LeanCache(function)  # type: ignore[attr-defined, no-untyped-call]
        return dispatcher

    return decorate


#: Serving kernels: serial, cached on disk. They keep the GIL: a call takes a tenth of a millisecond, and giving the
#: GIL up for it makes the event loop queue behind every other thread of the process to get it back (measured on one
#: core with feedback and exposures being stored: 0.52 instead of 0.33 ms of processor time a request).
kernel: Callable[..., Any] = _kept()

#: Small pieces of a kernel: merged into their callers, since a call would count references to each array argument.
inlined: Callable[..., Any] = _kept(forceinline=True)

#: Kernels that pass over a whole model or catalogue, in a thread beside the event loop: serial, and without the GIL,
#: which a loop in need of it would otherwise wait for until they end.
background_kernel: Callable[..., Any] = _kept(nogil=True)

#: Training and offline kernels: may use several threads. Never fork a process that has run one.
parallel_kernel: Callable[..., Any] = numba.njit(nogil=True, cache=True, error_model="numpy", parallel=True)


def pinned(function: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
    """The compiled form of a kernel for arguments of just these types, which are not looked at again.

    To find out which form fits some forty arrays takes five times as long as to hand them over. It compiles the
    form if need be; it runs nothing. Whoever calls it has to see to the types.
    """
    if config.DISABLE_JIT:  # type: ignore[attr-defined]
        return function
    signature = tuple(map(type_of, arguments))
    function.compile(signature)  # type: ignore[attr-defined]
    entry: Callable[..., Any] = function.overloads[signature].entry_point  # type: ignore[attr-defined]
    return entry


#: A loop that `parallel_kernel` may share between threads.
prange = numba.prange
