"""Copying a stretch of bytes by the machine's own means: short texts are copied more often than a loop can start up.

A copy whose length is known when it is compiled is a few instructions, where one of any length is a call. So short
texts are copied with what stands behind them, and what follows is written over that.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, config, types
from numba.extending import intrinsic

#: The bytes of a wide copy.
WIDE = 64
#: The bytes of a word.
WORD = 8


def _address(context, builder, signature, arguments, place):  # type: ignore[no-untyped-def]
    """That of an element, of the array and the index that are the arguments from `place` on."""
    array = context.make_array(signature.args[place])(context, builder, arguments[place])
    index = context.cast(builder, arguments[place + 1], signature.args[place + 1], types.intp)
    return builder.gep(array.data, [index])


def _generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    target, source = (_address(context, builder, signature, arguments, place) for place in (0, 2))  # type: ignore[no-untyped-call]
    length = context.cast(builder, arguments[4], signature.args[4], types.intp)
    cgutils.raw_memcpy(builder, target, source, length, 1)  # type: ignore[no-untyped-call]
    return context.get_dummy_value()


def _generate_wide(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    target, source = (_address(context, builder, signature, arguments, place) for place in (0, 2))  # type: ignore[no-untyped-call]
    block = ir.VectorType(ir.IntType(8), WIDE).as_pointer()
    builder.store(
        builder.load(builder.bitcast(source, block), align=1), builder.bitcast(target, block), align=1
    )
    return context.get_dummy_value()


def _generate_word(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
    target = _address(context, builder, signature, arguments, 0)  # type: ignore[no-untyped-call]
    word = context.cast(builder, arguments[2], signature.args[2], types.uint64)
    builder.store(word, builder.bitcast(target, word.type.as_pointer()), align=1)
    return context.get_dummy_value()


def _copy_bytes(typing_context, out, at, blob, start, length):  # type: ignore[no-untyped-def]
    return types.void(out, at, blob, start, length), _generate


def _copy_slice(out, at, blob, start, length):  # type: ignore[no-untyped-def]
    """The same with the compiler switched off."""
    out[at : at + length] = blob[start : start + length]


def _copy_wide(typing_context, out, at, blob, start):  # type: ignore[no-untyped-def]
    return types.void(out, at, blob, start), _generate_wide


def _copy_wide_slice(out, at, blob, start):  # type: ignore[no-untyped-def]
    out[at : at + WIDE] = blob[start : start + WIDE]


def _put_word(typing_context, out, at, word):  # type: ignore[no-untyped-def]
    return types.void(out, at, word), _generate_word


def _put_word_slice(out, at, word):  # type: ignore[no-untyped-def]
    out[at : at + WORD] = memoryview(int(word).to_bytes(WORD, "little"))


#: copy_bytes(out, at, blob, start, length): copy blob[start : start + length] to out[at : at + length], uint8 arrays of
#: one dimension in C order that do not overlap. Nothing is checked.
copy_bytes: Callable[..., Any] = (
    _copy_slice if config.DISABLE_JIT else intrinsic(_copy_bytes)  # type: ignore[attr-defined]
)

#: copy_wide(out, at, blob, start): the same for WIDE bytes, which both arrays have room for.
copy_wide: Callable[..., Any] = (
    _copy_wide_slice if config.DISABLE_JIT else intrinsic(_copy_wide)  # type: ignore[attr-defined]
)

#: put_word(out, at, word): set out[at : at + WORD] to the bytes of an unsigned number, the least first. The machine has
#: to keep them in that order, as all do that numba compiles for. Nothing is checked.
put_word: Callable[..., Any] = (
    _put_word_slice if config.DISABLE_JIT else intrinsic(_put_word)  # type: ignore[attr-defined]
)
