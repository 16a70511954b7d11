"""Copying a stretch of bytes by the machine's own means: short texts are copied more often than a loop can start up."""

from collections.abc import Callable
from typing import Any

from numba.core import cgutils, config, types
from numba.extending import intrinsic


def _generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    out, at, blob, start, length = (
        context.cast(builder, argument, kind, types.intp) if isinstance(kind, types.Integer) else argument
        for argument, kind in zip(arguments, signature.args, strict=True)
    )
    target, source = (
        builder.gep(context.make_array(kind)(context, builder, array).data, [offset])
        for kind, array, offset in ((signature.args[0], out, at), (signature.args[2], blob, start))
    )
    cgutils.raw_memcpy(builder, target, source, length, 1)  # type: ignore[no-untyped-call]
    return context.get_dummy_value()


def _copy_bytes(typing_context, out, at, blob, start, length):  # type: ignore[no-untyped-def]
    return types.void(out, at, blob, start, length), _generate


def _copy_slice(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    """The same with the compiler switched off."""
    out[at : at + length] = blob[start : start + length]


#: copy_bytes(out, at, blob, start, length): copy blob[start : start + length] to out[at : at + length], uint8 arrays of
#: one dimension in C order that do not overlap. Nothing is checked.
copy_bytes: Callable[..., Any] = (
    _copy_slice if config.DISABLE_JIT else intrinsic(_copy_bytes)  # type: ignore[attr-defined]
)
