"""Handing many arrays to a kernel at once, and again and again.

A kernel that takes forty arrays spends ten microseconds in asking Python for each one's address, shape and owner, a
tenth of a whole ranking, and counts references to them while it runs. What stays the same from call to call is
therefore held: its addresses and shapes are written to a table once, and the kernel takes the address of that table.
Inside, `held_in` makes named tuples of arrays again, which belong to nobody, so that nothing is counted. Arrays that
differ from call to call a kernel takes as they are, and makes the same of them by `borrowed`.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Generic, TypeVar

import numba
import numpy as np
from numba.core import cgutils, config, types
from numba.core.datamodel import models
from numba.extending import NativeValue, intrinsic, register_model, typeof_impl, unbox
from numba.np.arrayobj import populate_array

_Held = TypeVar("_Held", bound=tuple[Any, ...])


class HeldType(types.Type):
    """numba's type of `Held`: that of what is held."""

    def __init__(self, value: Any) -> None:
        self.value = value
        super().__init__(name=f"Held({value})")


class Held(Generic[_Held]):
    """A (named) tuple of C-contiguous arrays, or of such tuples, for kernels to take; keeps the arrays alive.

    The arrays may change, but not move or grow. Raises TypeError for anything else in the tuple.
    """

    __slots__ = ("_table", "address", "numba_type", "value")

    def __init__(self, value: _Held) -> None:
        self.value = value
        self.numba_type = HeldType(type_of(value))
        self._table = np.array(list(_words_of(value)), np.intp)
        self.address = self._table.ctypes.data


#: numba's types by the kind of what they are the types of.
_TYPES: dict[Any, Any] = {}


def type_of(value: Any) -> Any:
    """As `numba.typeof`, of arrays, of numbers, of what is held and of tuples of them, at a tenth of its price."""
    kind = _kind_of(value)
    found = _TYPES.get(kind)
    if found is None:
        found = _TYPES[kind] = numba.typeof(value)  # type: ignore[no-untyped-call]
    return found


def _kind_of(value: Any) -> Any:
    """What decides the type of a value."""
    if isinstance(value, np.ndarray):
        flags = value.flags
        layout = flags.c_contiguous, flags.f_contiguous, flags.writeable, flags.aligned
        return value.dtype, value.ndim, layout
    if isinstance(value, tuple):
        return type(value), *map(_kind_of, value)
    return value.numba_type if isinstance(value, Held) else type(value)


def _words_of(value: Any) -> Iterator[int]:
    """The address and the shape of each array, in order."""
    if isinstance(value, np.ndarray) and value.flags.c_contiguous:
        yield from (value.ctypes.data, *value.shape)
    elif isinstance(value, tuple):
        for part in value:
            yield from _words_of(part)
    else:
        raise TypeError(f"expected C-contiguous arrays, got {type(value).__name__}")


@typeof_impl.register(Held)
def _type_of(held: Any, _: Any) -> Any:
    return held.numba_type


register_model(HeldType)(models.OpaqueModel)


@unbox(HeldType)  # type: ignore[no-untyped-call]
def _unbox(_type: Any, held: Any, c: Any) -> Any:
    address = c.pyapi.object_getattr_string(held, "address")
    pointer = c.pyapi.long_as_voidptr(address)
    c.pyapi.decref(address)
    return NativeValue(pointer, is_error=c.pyapi.c_api_error())  # type: ignore[no-untyped-call]


def _words_at(context: Any, builder: Any, address: Any) -> Iterator[Any]:
    """The words of the table, one after the other."""
    word = context.get_value_type(types.intp)
    table = builder.bitcast(address, word.as_pointer())
    for place in count():
        yield builder.load(builder.gep(table, [context.get_constant(types.intp, place)]))


def _array_of(context: Any, builder: Any, array_type: Any, words: Iterator[Any]) -> Any:
    """The array whose address and shape are the next words."""
    array = context.make_array(array_type)(context, builder)
    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    itemsize = context.get_constant(types.intp, size)
    data = builder.inttoptr(next(words), array.data.type)
    shape = [next(words) for _ in range(array_type.ndim)]
    strides = [itemsize]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    populate_array(array, data, shape, strides, itemsize, None)  # type: ignore[no-untyped-call]
    return array._getvalue()


def _value_of(context: Any, builder: Any, value_type: Any, words: Iterator[Any]) -> Any:
    """The array or the tuple of that type that the next words tell of."""
    if isinstance(value_type, types.Array):
        return _array_of(context, builder, value_type, words)
    parts = [_value_of(context, builder, part, words) for part in value_type.types]
    return context.make_tuple(builder, value_type, parts)


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _value_of(context, builder, signature.return_type, _words_at(context, builder, arguments[0]))


def _held_in(typing_context, held):  # type: ignore[no-untyped-def]
    return held.value(held), _generate


def _value_in(held):  # type: ignore[no-untyped-def]
    """The same with the compiler switched off."""
    return held.value


#: held_in(held): the tuple that a `Held` holds, in a kernel; valid while the `Held` is.
held_in: Callable[..., Any] = (
    _value_in if config.DISABLE_JIT else intrinsic(_held_in)  # type: ignore[attr-defined]
)


def _generate_borrowed(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _borrowed_of(context, builder, signature.args[0], arguments[0])


def _borrowed_of(context: Any, builder: Any, value_type: Any, value: Any) -> Any:
    """The same value, whose arrays belong to nobody."""
    if isinstance(value_type, types.Array):
        array = context.make_array(value_type)(context, builder, value=value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)  # type: ignore[no-untyped-call]
        array.parent = cgutils.get_null_value(array.parent.type)  # type: ignore[no-untyped-call]
        return array._getvalue()
    if isinstance(value_type, types.BaseTuple):
        parts = [
            _borrowed_of(context, builder, part, builder.extract_value(value, place))
            for place, part in enumerate(value_type.types)  # type: ignore[attr-defined]
        ]
        return context.make_tuple(builder, value_type, parts)
    return value


def _borrowed(typing_context, value):  # type: ignore[no-untyped-def]
    return value(value), _generate_borrowed


def _itself(value):  # type: ignore[no-untyped-def]
    """The same with the compiler switched off."""
    return value


#: borrowed(value): an array, or a tuple of arrays and such tuples, that a kernel was called with, without counting
#: references to it; valid while the caller holds it, and not to be returned. To count takes as long as dozens of
#: additions, again and again where an array stands in a tuple or is handed on.
borrowed: Callable[..., Any] = (
    _itself if config.DISABLE_JIT else intrinsic(_borrowed)  # type: ignore[attr-defined]
)
