"""Files that are there whole, old or new, whatever ends the writing."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a large file under; it takes its place, durably, when all went well.

    After a failure nothing is left of it, and the old file stays. OSError when the disk fails.
    """
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield fresh
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.replace(path)
        sync_directory(path.absolute().parent)
    finally:
        fresh.unlink(missing_ok=True)


def replace_file(path: Path, text: str) -> None:
    """Make `text` the content of a file, durably; OSError when the disk fails, and the old content stays then."""
    with appearing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
