"""Asking for memory before it is needed.

A walk over postings visits rows in no order, so each row begins with a wait for main memory, longer than the work on
the row. Asking for the rows to come while this one is worked on hides that wait.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, config, types
from numba.extending import intrinsic

_READ, _ALL_LEVELS, _DATA = 0, 3, 1


def _generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    index = context.cast(builder, arguments[1], signature.args[1], types.intp)
    byte = ir.IntType(8).as_pointer()
    flag = ir.IntType(32)
    signature_of_prefetch = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    prefetch_llvm = cgutils.get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, signature_of_prefetch, "llvm.prefetch.p0i8"
    )
    address = builder.bitcast(builder.gep(array.data, [index]), byte)
    builder.call(prefetch_llvm, [address, flag(_READ), flag(_ALL_LEVELS), flag(_DATA)])
    return context.get_dummy_value()


def _prefetch(typing_context, array, index):  # type: ignore[no-untyped-def]
    return types.void(array, index), _generate


def _nothing(array, index):  # type: ignore[no-untyped-def]
    """With the compiler switched off there is no instruction to give."""


#: prefetch(array, index): ask for the cache line that holds array[index], a one-dimensional array in C order. The index
#: is not checked and may be out of bounds: the instruction never fails.
prefetch: Callable[..., Any] = (
    _nothing if config.DISABLE_JIT else intrinsic(_prefetch)  # type: ignore[attr-defined]
)
