"""Watching a figure of running processes, and what memory they take together."""

import threading
from collections.abc import Callable

import psutil  # type: ignore[import-untyped]

_EVERY_SECONDS = 0.02


class PeakWatch:
    """Looks at a figure again and again, in a thread of its own, and keeps the greatest: a context manager.

    `look` gives the figure, or raises psutil.Error or OSError once there is nothing to look at, which ends the watch.
    """

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.peak = 0.0

    def __enter__(self) -> "PeakWatch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ending.wait(_EVERY_SECONDS):
            try:
                self.peak = max(self.peak, self._look())
            except (psutil.Error, OSError):
                return


def tree_mb(process: psutil.Process) -> float:
    """The resident memory of a process and of all that it has started, MB of 10⁶ bytes.

    Pages that several of them map are counted for each, so this is never less than what they take.
    """
    resident = process.memory_info().rss
    for child in process.children(recursive=True):
        try:
            resident += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # ended between the two looks
    return float(resident) / 1e6
