"""A log line for something that may happen thousands of times a second."""

import logging
import threading
import time
from collections.abc import Callable


class SparseLog:
    """Logs once in `seconds` at most, and says how often it kept silent in between. Any thread may call it."""

    def __init__(
        self, logger: logging.Logger, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger = logger
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()  # guards the two below
        self._next = float("-inf")
        self._silent = 0

    def warning(self, message: str, *args: object) -> None:
        """Log a warning with `args` filled into `message`, or count it."""
        with self._lock:
            now = self._clock()
            if now < self._next:
                self._silent += 1
                return
            self._next = now + self._seconds
            silent, self._silent = self._silent, 0
        self._logger.warning(message + " (%d more like this went unsaid)", *args, silent)
