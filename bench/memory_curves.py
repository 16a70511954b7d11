"""The memory of a server over time, looked at from outside while it works."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType

from bench.figures import Curve
from bench.servers import Server

_EVERY_SECONDS = 0.1
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


class MemoryWatch:
    """Looks at a server's resident memory ten times a second until the end of the block, where there is /proc."""

    def __init__(self, server: Server) -> None:
        self._statm = Path(f"/proc/{server.process.pid}/statm")
        self._seen: list[tuple[float, float, float]] = []
        self._stopping = threading.Event()
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def peak_mb(self) -> float:
        """The most that was seen resident, MB of 10⁶ bytes; 0 where nothing can be seen."""
        return max((resident for _, resident, _ in self._seen), default=0.0)

    def curves(self) -> tuple[Curve, ...]:
        """Resident memory, and the part of it that is mapped files, over seconds."""
        seconds = tuple(at for at, _, _ in self._seen)
        return (
            Curve("resident", seconds, tuple(resident for _, resident, _ in self._seen)),
            Curve("of it mapped files", seconds, tuple(mapped for _, _, mapped in self._seen)),
        )

    def least_mb(self, start: float, stop: float) -> float:
        """The least that was seen resident between two readings of perf_counter. ValueError when nobody looked then."""
        seen = [resident for at, resident, _ in self._seen if start <= at + self._started < stop]
        if not seen:
            raise ValueError("nobody looked at the memory meanwhile")
        return min(seen)

    def _look(self) -> None:
        while self._statm.exists() and not self._stopping.wait(_EVERY_SECONDS):
            _, resident, mapped, *_ = map(int, self._statm.read_text("ascii").split())
            self._seen.append((time.perf_counter() - self._started, resident * _PAGE_MB, mapped * _PAGE_MB))
