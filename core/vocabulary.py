"""Ids of people or events and their indices, in plain arrays that processes can share."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES: Mapping[str, type[np.generic]] = {
    "blob": np.uint8,
    "offsets": np.int64,
    "hashes": np.uint64,
    "positions": np.int32,
}

_HASH_BITS = 64
#: Ids that are looked for without a rest.
_AT_ONCE = 1 << 14


class Vocabulary:
    """An immutable map between n id strings and 0..n − 1.

    Ids lie end to end in `blob` uint8[bytes] (UTF-8), the i-th between `offsets` int64[n + 1]; `hashes`
    uint64[n] ascend and `positions` int32[n] are the indices they belong to. A dict of a million strings
    would cost each process above 100 MB; these arrays are 20 bytes an id besides its text, and mapped from a
    file only once.

    Where to look among the hashes is told by their first bits, in a table that has about one of them a place.
    """

    __slots__ = ("_arrays", "_blob", "_hashes", "_offsets", "_positions", "_shift", "_starts")

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = {name: _read_only(arrays[name]) for name in _DTYPES}
        # A memoryview yields plain Python numbers, at a third of the price of numpy's scalars.
        self._blob = self._arrays["blob"].data
        self._offsets = self._arrays["offsets"].data
        self._hashes = self._arrays["hashes"].data
        self._positions = self._arrays["positions"].data
        bits = max(1, len(self._hashes).bit_length() - 1)
        self._shift = _HASH_BITS - bits
        self._starts = _starts_of(self._arrays["hashes"], bits).data

    @classmethod
    def from_ids(cls, ids: Iterable[str]) -> "Vocabulary":
        """Number `ids` in their order; ValueError names one that comes twice."""
        encoded = [_encode(id_) for id_ in ids]
        hashes = np.fromiter(map(_hash, encoded), np.uint64, len(encoded))
        positions = np.argsort(hashes, kind="stable").astype(np.int32)
        hashes = hashes[positions]
        _refuse_duplicates(encoded, hashes, positions)
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
        blob = np.frombuffer(b"".join(encoded), np.uint8)
        return cls({"blob": blob, "offsets": offsets, "hashes": hashes, "positions": positions})

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], rest: Callable[[], None] = lambda: None
    ) -> "Vocabulary":
        """The vocabulary whose `arrays()` these are, not copied; ValueError names the one that is wrong.

        `rest` is called between the parts.
        """
        for name, dtype in _DTYPES.items():
            if name not in arrays:
                raise ValueError(f"{name}: missing")
            if arrays[name].dtype != dtype or arrays[name].ndim != 1:
                raise ValueError(f"{name}: expected one dimension of {np.dtype(dtype)}")
        blob, offsets, hashes, positions = (arrays[name] for name in _DTYPES)
        if offsets.size == 0 or offsets[0] != 0 or offsets[-1] != blob.size or not _ascends(offsets):
            raise ValueError(f"offsets: must ascend from 0 to the size of the blob, {blob.size}")
        if hashes.size != offsets.size - 1 or not _ascends(hashes):
            raise ValueError(f"hashes: {offsets.size - 1} ascending values expected")
        rest()
        if positions.size != hashes.size or not _are_all_places(positions):
            raise ValueError(f"positions: each of 0..{hashes.size - 1} expected once")
        rest()
        return cls(arrays)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the class's description by name, read-only."""
        return dict(self._arrays)

    def index_of(self, id_: str) -> int:
        """The index of `id_`, −1 when it is unknown."""
        encoded = _encode(id_)
        wanted = _hash(encoded)
        first_bits = wanted >> self._shift
        hashes, stop = self._hashes, self._starts[first_bits + 1]
        for place in range(self._starts[first_bits], stop):
            if hashes[place] == wanted:
                index: int = self._positions[place]
                if self._blob[self._offsets[index] : self._offsets[index + 1]] == encoded:
                    return index
        return -1

    def indices_of(self, ids: Sequence[str]) -> list[int]:
        """The same for many ids, at half the price each."""
        if not len(self):
            return [-1] * len(ids)
        encoded = list(map(_encode, ids))
        wanted = np.fromiter(map(_hash, encoded), np.uint64, len(encoded))
        places = np.minimum(np.searchsorted(self._arrays["hashes"], wanted), len(self) - 1)
        is_alike = self._arrays["hashes"][places] == wanted
        found: list[int] = np.where(is_alike, self._arrays["positions"][places], -1).tolist()
        blob, offsets = self._blob, self._offsets
        for number, index in enumerate(found):
            if index >= 0 and blob[offsets[index] : offsets[index + 1]] != encoded[number]:
                found[number] = self.index_of(ids[number])  # two ids have one hash
        return found

    def id_at(self, index: int) -> str:
        """The id at `index`; IndexError when it is not in 0..n − 1."""
        if not 0 <= index < len(self):
            raise IndexError(f"index: {index} is outside 0..{len(self) - 1}")
        return str(self._blob[self._offsets[index] : self._offsets[index + 1]], "utf-8", "surrogatepass")

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self.index_of(id_) >= 0

    def __iter__(self) -> Iterator[str]:
        text = self._blob.tobytes()
        if not text.isascii():
            return map(self.id_at, range(len(self)))
        # One character a byte, so that slices of the text are the ids, in a fifth of the time.
        decoded = text.decode("ascii")
        return (decoded[start:stop] for start, stop in pairwise(self._offsets))

    def indices_in(self, other: "Vocabulary", rest: Callable[[], None] = lambda: None) -> NDArray[np.int32]:
        """int32[n]: the index that each id has in another vocabulary, −1 where it has none.

        `rest` is called again and again meanwhile.
        """
        # Here, because who only reads vocabularies, as a training's first step, goes without the compiler.
        from core.kernels.ids import UNCLEAR, IdTable, match_ids

        mine, theirs = (IdTable(**vocabulary._arrays) for vocabulary in (self, other))
        found = np.full(len(self), -1, np.int32)
        for start in range(0, len(self), _AT_ONCE):
            first = int(np.searchsorted(theirs.hashes, mine.hashes[start]))
            match_ids(mine, theirs, start, min(start + _AT_ONCE, len(self)), first, found)
            rest()
        # That two ids have one hash is possible, no more.
        for index in np.flatnonzero(found == UNCLEAR).tolist():
            found[index] = other.index_of(self.id_at(index))
        return found


def _encode(id_: str) -> bytes:
    # JSON can carry a lone surrogate; such an id is merely unknown, never an error.
    return id_.encode("utf-8", "surrogatepass")


def _hash(encoded: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=_HASH_BITS // 8).digest(), "little")


def _starts_of(hashes: NDArray[np.uint64], bits: int) -> NDArray[np.uint32]:
    """uint32[2^bits + 1]: where hashes begin that begin with these bits; `hashes` ascend."""
    firsts = (hashes >> np.uint64(_HASH_BITS - bits)).astype(np.int64)
    starts = np.zeros((1 << bits) + 1, np.uint32)
    np.cumsum(np.bincount(firsts, minlength=1 << bits), out=starts[1:])
    return starts


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    view = values.view()
    view.flags.writeable = False
    return view


def _are_all_places(positions: NDArray[np.int32]) -> bool:
    """Whether these are 0..n - 1 in some order."""
    if positions.min(initial=0) < 0 or positions.max(initial=-1) >= positions.size:
        return False
    is_there = np.zeros(positions.size, np.bool_)
    is_there[positions] = True
    return bool(is_there.all())


def _ascends(values: NDArray[Any]) -> bool:
    return bool((values[1:] >= values[:-1]).all())


def _refuse_duplicates(
    encoded: list[bytes], hashes: NDArray[np.uint64], positions: NDArray[np.int32]
) -> None:
    """ValueError when two ids are the same; `hashes` ascend and `positions` say whose they are."""
    alike = np.flatnonzero(hashes[1:] == hashes[:-1])
    places = np.union1d(alike, alike + 1)
    seen = set()
    for position in positions[places].tolist():
        if encoded[position] in seen:
            raise ValueError(f"ids: {encoded[position].decode('utf-8', 'surrogatepass')!r} comes twice")
        seen.add(encoded[position])
