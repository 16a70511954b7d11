"""Giving memory back to the machine that the process does not need any more."""

import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_MADV_DONTNEED = 4
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 1 << 20
#: The compiler. Compiled kernels do not call it, and its code takes 50 MB.
_COMPILER = "libllvmlite"


def start_without_collections() -> None:
    """Look for no cycles until `settle_memory`.

    A start makes a third of a million objects, nearly all of which stay; to go through them again and again takes long.
    """
    gc.disable()


def settle_memory() -> None:
    """Give back what the start has freed, and take what it left, a third of a million objects, out of collections.

    They are not looked through before: one in sixty could go, and to find it takes a fifteenth of a start. A request
    leaves hardly any cycles; looking for them less often spares it about an eighth of its time.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()
    give_memory_back()


def give_memory_back() -> None:
    """Give back what was freed, and the compiler's code, which comes back from its file when it is needed."""
    system = ctypes.CDLL(None)
    # glibc has it; other C libraries keep less for themselves.
    give_back = getattr(system, "malloc_trim", None)
    if give_back is not None:
        give_back(0)
    for start, length in _code_of(_COMPILER):
        system.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)


def give_arrays_back_at_once() -> None:
    """From now on let every large array go back to the machine in the moment in which it is freed.

    glibc by itself keeps arrays of up to 32 MB for the next ones once some were freed (mallopt(3), M_MMAP_THRESHOLD).
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _code_of(library: str) -> Iterator[tuple[int, int]]:
    """Where the code of a library is mapped: start and length in bytes; nothing on systems without /proc.

    Code is never written to, so pages that are dropped and needed again come back from the file as they were.
    """
    if not _MAPS.exists():
        return
    for line in _MAPS.read_text().splitlines():
        if library not in line:  # nearly all of a thousand
            continue
        addresses, permissions, *_, name = line.split(maxsplit=5)
        if permissions == "r-xp" and library in Path(name).name:
            start, end = (int(address, 16) for address in addresses.split("-"))
            yield start, end - start
