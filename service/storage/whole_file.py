"""Small files that are there whole, old or new, whatever ends the writing."""

import os
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Make `text` the content of a file, durably; OSError when the disk fails, and the old content stays then."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
