"""Giving memory back to the machine that the process does not need any more."""

import ctypes
import gc
import re
from collections.abc import Iterator
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_MAPS = Path("/proc/self/smaps")
_MADV_DONTNEED = 4
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 1 << 20
#: The compiler. Compiled kernels do not call it, and its code and tables take 66 MB.
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
    """Give back what was freed, and the compiler itself, which comes back from its file when it is needed.

    To find the compiler among all mappings keeps the interpreter for 10 ms: this is not for beside those who ask.
    """
    for start, length in _unwritten_parts_of(_COMPILER):
        _LIBC.madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _MADV_DONTNEED)
    give_freed_back()


def give_freed_back() -> None:
    """Give back what was freed."""
    # glibc has it; other C libraries keep less for themselves.
    give_back = getattr(_LIBC, "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def give_arrays_back_at_once() -> None:
    """From now on let every large array go back to the machine in the moment in which it is freed.

    glibc by itself keeps arrays of up to 32 MB for the next ones once some were freed (mallopt(3), M_MMAP_THRESHOLD).
    """
    set_option = getattr(_LIBC, "mallopt", None)
    if set_option is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _unwritten_parts_of(library: str) -> Iterator[tuple[int, int]]:
    """Where code and constants of a library are mapped: start and length in bytes; nothing on systems without /proc.

    Pages that nobody has written to come back from the file as they were. The loader writes to some before it makes
    them read-only, which makes them anonymous memory: a part that has any is left out.
    """
    if not _MAPS.exists():
        return
    part_of_it = rf"^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [^\n]*/[^\n/]*{re.escape(library)}[^\n/]*\n"
    none_written = r"(?:[A-Z][^\n]*\n)*?Anonymous: +0 kB$"
    for part in re.finditer(part_of_it + none_written, _MAPS.read_text(), re.MULTILINE):
        start, end = (int(address, 16) for address in part.groups())
        yield start, end - start
