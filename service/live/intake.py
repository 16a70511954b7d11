"""Where everything that people do enters a live state, but for what they have had erased."""

import logging
from collections.abc import Sequence

from core.actions import Action, action_from_name
from service.live.history import Deed
from service.live.state import LiveState
from service.storage.sparse_log import SparseLog

logger = logging.getLogger(__name__)

#: Whatever tells of much does it so many rows at a time, so that no request waits for more.
PAGE = 500


class Intake:
    """The one door to a live state's people. What is told twice counts once, in whatever order it is told."""

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._erased: dict[str, int] = {}
        self._log = SparseLog(logger)

    def apply(self, user_id: str, event_id: str, action: str, at: float) -> bool:
        """Let one action count, and say whether it was news; `at` in seconds since 1970.

        One that this version does not know is left out.
        """
        if self.is_erased(user_id, at):
            return False
        known = self._named(action)
        return known is not None and self._state.apply(user_id, event_id, known, at)

    def apply_all(self, told: Sequence[tuple[str, str, str, float]]) -> list[bool]:
        """The same of many, (user id, event id, action, seconds since 1970) each, in their order."""
        is_news = [False] * len(told)
        places, done = [], []
        for place, (user_id, event_id, action, at) in enumerate(told):
            known = None if self.is_erased(user_id, at) else self._named(action)
            if known is not None:
                places.append(place)
                done.append((user_id, event_id, Deed(at, known)))
        for place, was_news in zip(places, self._state.apply_all(done), strict=True):
            is_news[place] = was_news
        return is_news

    def last_acted_at(self, user_id: str, event_id: str) -> float:
        """When a person last did something with an event, -inf where nothing is known."""
        return self._state.last_acted_at(user_id, event_id)

    def is_erased(self, user_id: str, at: float) -> bool:
        """Whether a person has had erased what they did `at`, to the second, as the databases compare it."""
        return int(at) <= self._erased.get(user_id, -1)

    def forget(self, user_id: str, until: int) -> bool:
        """Stop using anything a person did until `until`; whether that is news."""
        if self._erased.get(user_id, -1) >= until:
            return False
        self._erased[user_id] = until
        self._state.forget_user(user_id, until)
        return True

    def _named(self, action: str) -> Action | None:
        try:
            return action_from_name(action)
        except ValueError:
            self._log.warning("an action called %r is left out", action)
            return None
