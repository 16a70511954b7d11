"""Remembering what was handled lately, so that what is seen twice counts once."""

from collections.abc import Hashable

MOST_KEYS = 50_000


class RecentKeys:
    """A bounded set that forgets its oldest key first."""

    def __init__(self, most: int = MOST_KEYS) -> None:
        self._most = most
        self._keys: dict[Hashable, None] = {}

    def add(self, key: Hashable) -> bool:
        """Remember a key; whether it is new."""
        if key in self._keys:
            return False
        self._keys[key] = None
        if len(self._keys) > self._most:
            del self._keys[next(iter(self._keys))]
        return True
