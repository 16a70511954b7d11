"""The model as it is now: what was trained plus everything since, with people and events by their ids.

All of it belongs to the thread of the event loop: requests read it and changes are applied between requests.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from core.actions import Action
from core.content import Content
from core.interactions import DISMISSED, UNTOUCHED, PairState
from core.kernels.held import Held
from core.kernels.live import Profile
from core.live_site import LiveSite
from core.model import Model
from core.recommender import Recommender
from core.sparse import Lookup, row_columns
from core.tastes import Taste
from service.live.catalogue import NOWHERE, Catalogue
from service.live.content import ContentIndex
from service.live.description import Described, describe
from service.live.event_ids import EventIds
from service.live.history import Deed, PairHistory, untouched_since
from service.live.labels import Labels
from service.live.renumbering import numbers_after
from service.live.stated import StatedTastes
from service.live.statements import Stated, as_taste
from service.live.telling import NOTHING_TOLD, Telling
from service.pacing import no_rest
from service.storage.queries.events import EventRow

_NO_EVENTS = np.empty(0, np.int32)
_NO_WEIGHTS = np.empty(0, np.float32)
#: A person of whom nothing is known.
STRANGER = Profile(_NO_EVENTS, _NO_WEIGHTS, _NO_EVENTS, -1)


class LiveState:
    """One model, live. Replaced as a whole when a new model is published. `rest` is called between its parts."""

    def __init__(self, model: Model, rest: Callable[[], None] = no_rest) -> None:
        self.model = model
        self.live = LiveSite(
            *(model.preferences.liked, model.neighbourhood, len(model.events)),
            *(model.settings.collaborative, rest),
        )
        rest()
        self.recommender = Recommender(
            *(self.live, model.popularity, model.factors),
            *(model.settings.als, model.settings.content, model.blend),
            sketch=model.sketch,
            rest=rest,
        )
        rest()
        self._dismissed = Lookup(model.preferences.dismissed)
        self._new_users: dict[str, int] = {}
        self._new_events: dict[str, int] = {}
        self._event_ids = EventIds(model.events)
        self._has_unrated = (
            False  #: whether an event that the model never saw was listed and is not rated yet
        )
        #: row -> event -> what happened, for pairs acted on or forgotten since the training
        self._since: dict[int, dict[int, PairHistory]] = {}
        self._forgotten: set[int] = set()  #: rows whose training does not count any more
        self.event_changes = 0  #: how often anything has changed that `take_over_events` takes over
        self.catalogue = Catalogue(self.live.event_room)
        self.stated = StatedTastes()
        self._content_settings = model.settings.content
        self._content = ContentIndex(self._content_settings)
        self._telling = Held(NOTHING_TOLD)

    @property
    def version(self) -> str:
        """The version of the model."""
        return self.model.version

    @property
    def content(self) -> Content:
        """What all events are like, as of the last `build_content`."""
        return self._content.content

    @property
    def labels(self) -> Labels:
        """The names of the features of `content`."""
        return self._content.labels

    @property
    def telling(self) -> Held[Telling]:
        """What answers tell about events, as the encoder takes it; valid until the next change."""
        cards, labels, masses = self.catalogue.cards, self.labels, self.live.event_masses
        (blob, bounds), old_labels, old_masses = self._telling.value
        is_old = blob is cards.blob and bounds is cards.bounds
        if not (is_old and old_labels is labels and old_masses is masses):
            self._telling = Held(Telling(cards, labels, masses))
        return self._telling

    def user_row(self, user_id: str) -> int:
        """The row of a person, -1 for a stranger."""
        row = self.model.users.index_of(user_id)
        return row if row >= 0 else self._new_users.get(user_id, -1)

    def event_index(self, event_id: str) -> int:
        """The index of an event, -1 for one never heard of."""
        index = self.model.events.index_of(event_id)
        return index if index >= 0 else self._new_events.get(event_id, -1)

    @property
    def event_ids(self) -> Sequence[str]:
        """The ids of all events by their index."""
        return self._event_ids

    def profile(
        self, user_id: str | None, also_excluded: Iterable[str] = (), also_liked: Iterable[str] = ()
    ) -> Profile:
        """What a person likes, and what must not be shown to them: all they acted on, and `also_excluded`.

        Events of `also_liked` count as saved, for this once.
        """
        row = -1 if user_id is None else self.user_row(user_id)
        events, excluded = _NO_EVENTS, _NO_EVENTS
        weights = _NO_WEIGHTS
        if row >= 0:
            events, weights = self.live.liked(row)
            unliked = self._unliked_events(row)
            excluded = np.concatenate((events, unliked)) if unliked.size else events
        if also_liked:
            events, weights, excluded = self._with_likes(also_liked, events, weights, excluded)
        more = [index for event_id in also_excluded if (index := self.event_index(event_id)) >= 0]
        if more:
            excluded = np.concatenate((excluded, np.asarray(more, np.int32)))
        return Profile(events, weights, excluded, row)

    def taste(self, user_id: str | None, profile: Profile, statements: Iterable[Stated]) -> Taste:
        """What a person likes in events: by those they like, by what is known to be stated, and by `statements`."""
        known = () if user_id is None else self.stated.of(user_id)
        stated = as_taste((*known, *statements), self._content.number_of, self._content_settings.statement)
        return self.recommender.content.taste(self.content, profile, stated)

    def _with_likes(
        self,
        event_ids: Iterable[str],
        events: NDArray[np.int32],
        weights: NDArray[np.float32],
        excluded: NDArray[np.int32],
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
        """A profile's arrays with more events liked to the full; those that nobody has heard of say nothing."""
        indices = (self.event_index(event_id) for event_id in dict.fromkeys(event_ids))
        more = np.asarray([index for index in indices if index >= 0], np.int32)
        is_kept = ~np.isin(events, more)
        return (
            np.concatenate((events[is_kept], more)),
            np.concatenate((weights[is_kept], np.ones(more.size, np.float32))),
            np.concatenate((excluded, more)),
        )

    def people(self) -> list[str]:
        """Everybody of whom something is known, by row: those of the training, then those who came since."""
        ids = [*map(self.model.users.id_at, range(len(self.model.users))), *self._new_users]
        return [
            user_id
            for row, user_id in enumerate(ids)
            if row not in self._forgotten or any(pair.deeds for pair in self._since.get(row, {}).values())
        ]

    def apply(self, user_id: str, event_id: str, action: Action, at: float | None = None) -> bool:
        """Let one action count, in the place among the person's others that its time gives it.

        `at` in seconds since 1970; None for now, after all that is known. The same action at the same time is one:
        returns whether this was news. People and events the model never saw take part at once.
        """
        row, event = self._ensure_user(user_id), self._ensure_named(event_id)
        history = self._history(row, event)
        if at is None:
            at = history.deeds[-1].at + 1.0 if history.deeds else 0.0
        longer = history.including(Deed(at, action), self.model.settings.preferences.weights)
        self._put(row, event, longer)
        return longer is not history

    def apply_all(self, done: Sequence[tuple[str, str, Deed]]) -> list[bool]:
        """As `apply` of many, (user id, event id, deed) each, in their order, at a third of the price."""
        rows = self.model.users.indices_of([user_id for user_id, _, _ in done])
        events = self.model.events.indices_of([event_id for _, event_id, _ in done])
        weights = self.model.settings.preferences.weights
        changed: dict[tuple[int, int], int] = {}
        is_news = []
        for (user_id, event_id, deed), known_row, known_event in zip(done, rows, events, strict=True):
            row = known_row if known_row >= 0 else self._ensure_user(user_id)
            event = known_event if known_event >= 0 else self._ensure_named(event_id)
            history = self._history(row, event)
            longer = history.including(deed, weights)
            is_news.append(longer is not history)
            if longer is not history:
                self._since.setdefault(row, {})[event] = longer
                changed[row, event] = _in_255ths(longer.now.value)
        self.live.set_preferences(
            [row for row, _ in changed], [event for _, event in changed], list(changed.values())
        )
        return is_news

    def last_acted_at(self, user_id: str, event_id: str) -> float:
        """When a person last did something with an event, as far as it was since the training; -inf for never."""
        since = self._since.get(self.user_row(user_id), {}).get(self.event_index(event_id))
        return since.deeds[-1].at if since is not None and since.deeds else -np.inf

    def forget_user(self, user_id: str, until: float = np.inf) -> None:
        """Stop using anything a person did up to the second `until`: likes, dismissals, part in neighbourhoods."""
        row = self.user_row(user_id)
        if row < 0:
            return
        weights = self.model.settings.preferences.weights
        kept = {event: history.since(until, weights) for event, history in self._since.get(row, {}).items()}
        trained = row_columns(self.model.preferences.dismissed, row) if self._in_model(row) else _NO_EVENTS
        self._forgotten.add(row)
        self.live.forget_user(row)
        self._since[row] = {int(event): untouched_since(UNTOUCHED) for event in trained}
        for event, history in kept.items():
            self._put(row, event, history)

    def put_events(self, events: Sequence[EventRow]) -> None:
        """As `put_described`, of rows as the site has them."""
        self.put_described(describe(events))

    def put_described(self, events: Sequence[Described]) -> None:
        """Add events to the catalogue, or replace what it knows of them. `settle_events` comes after the last."""
        self.event_changes += 1
        known = self.model.events.indices_of([event.event_id for event in events])
        by_index = {
            index if index >= 0 else self._ensure_event(event.event_id): event
            for index, event in zip(known, events, strict=True)
        }
        self.catalogue.put(list(by_index), list(by_index.values()))
        self._content.put(list(by_index), list(by_index.values()))
        self._has_unrated |= max(by_index, default=-1) >= len(self.model.events)

    def numbers_of_events(self, before: "LiveState", rest: Callable[[], None] = no_rest) -> NDArray[np.int32]:
        """int32[events of `before`]: which number each has here, -1 for those that only old interactions name.

        Those that the model does not know are added. May run in a thread while `before` serves.
        """
        return self._with_described(before, before.model.events.indices_in(self.model.events, rest))

    def take_over_events(
        self, before: "LiveState", numbers: NDArray[np.int32], rest: Callable[[], None] = no_rest
    ) -> None:
        """Begin with all that another state knows of events, as it is now.

        `numbers` are its `numbers_of_events`, but for the events that came to it since. May run in a thread, and holds
        when the other's `event_changes` is the same before and after. `settle_events` and `build_content` come next.
        """
        numbers = self._with_described(before, numbers)
        rest()
        places = numbers_after(numbers, self.live.n_events)
        rest()
        self.catalogue = before.catalogue.renumbered(places, self.live.event_room, rest)
        rest()
        self._content.take_over(before._content, places)
        self._has_unrated = self.live.n_events > len(self.model.events)

    def _with_described(self, before: "LiveState", numbers: NDArray[np.int32]) -> NDArray[np.int32]:
        """The numbers with those of all events that `before` can describe by now."""
        is_described = before.catalogue.is_described
        n_events = min(len(before.event_ids), is_described.size)
        numbers = np.concatenate((numbers, np.full(n_events - numbers.size, -1, np.int32)))
        for index in np.flatnonzero((numbers < 0) & is_described[: numbers.size]).tolist():
            numbers[index] = self._ensure_event(before.event_ids[index])
        return numbers

    def listed_event_ids(self) -> set[str]:
        """The ids of all events that the site's table has, as far as that is known."""
        return set(compress(self.event_ids, self.catalogue.is_in_table.tolist()))

    def close_events(self, event_ids: Iterable[str]) -> None:
        """Take events out of all answers that the site has deleted."""
        self.event_changes += 1
        for event_id in event_ids:
            if (index := self.event_index(event_id)) >= 0:
                self.catalogue.close(index)

    def settle_events(self, rest: Callable[[], None] = no_rest) -> None:
        """After events came: name the events that did not come, and rate those that the model never saw.

        They start at the mean popularity in their city, or of all events where the city is new.
        """
        self.catalogue.name_the_rest(self._event_ids)
        rest()
        if not self._has_unrated:
            return
        self._has_unrated = False
        n_known = len(self.model.events)
        popularity = self.model.popularity.astype(np.float64)
        city = self.catalogue.cities[: self.live.n_events] - NOWHERE  # 0 where there is none
        sums, counts = (
            np.bincount(city[:n_known], weights, city.max() + 1) for weights in (popularity, None)
        )
        overall = popularity.mean() if n_known else 0.0
        means = np.divide(sums, counts, out=np.full(sums.size, overall), where=counts > 0)
        new = np.arange(n_known, self.live.n_events, dtype=np.int32)
        self.recommender.set_popularity(new, means[city[n_known:]].astype(np.float32))

    def build_content(self, rest: Callable[[], None] = no_rest) -> None:
        """After events came, let requests know what they are like. May run in a thread, but not beside `put_events`."""
        self._content.build(self.catalogue.is_listed, rest)

    def _ensure_user(self, user_id: str) -> int:
        row = self.user_row(user_id)
        if row < 0:
            row = self._new_users[user_id] = self.live.add_user()
        return row

    def _ensure_event(self, event_id: str) -> int:
        index = self.event_index(event_id)
        if index < 0:
            self.event_changes += 1
            index = self._new_events[event_id] = self.live.add_event()
            self._event_ids.append(event_id)
            self.catalogue.ensure_room(self.live.event_room)
        return index

    def _ensure_named(self, event_id: str) -> int:
        """The index of an event that somebody acted on: the very next answer may give it as a reason."""
        index = self.event_index(event_id)
        if index < 0:
            index = self._ensure_event(event_id)
            self.catalogue.name(index, event_id)
        return index

    def _in_model(self, row: int) -> bool:
        return row < len(self.model.users)

    def _history(self, row: int, event: int) -> PairHistory:
        return self._since.get(row, {}).get(event) or untouched_since(self._as_trained(row, event))

    def _put(self, row: int, event: int, history: PairHistory) -> None:
        self.live.set_preference(row, event, _in_255ths(history.now.value))
        self._since.setdefault(row, {})[event] = history

    def _as_trained(self, row: int, event: int) -> PairState:
        """How a pair stands that nothing happened to since."""
        if not self._in_model(row) or row in self._forgotten:
            return UNTOUCHED
        weight = self.live.preference(row, event)
        if weight:
            return PairState(value=weight / 255.0, dismissed=False, acted_on=True)
        return DISMISSED if self._dismissed.position(row, event) >= 0 else UNTOUCHED

    def _unliked_events(self, row: int) -> NDArray[np.int32]:
        since = self._since.get(row)
        is_any = self._dismissed.row_size(row) > 0
        base = row_columns(self.model.preferences.dismissed, row) if is_any else _NO_EVENTS
        if not since:
            return base
        kept = [event for event in base.tolist() if event not in since]
        kept += [event for event, history in since.items() if history.now.acted_on and history.now.value == 0]
        return np.asarray(kept, np.int32)


def _in_255ths(preference: float) -> int:
    """A preference as it is kept: one above 0 stays above 0."""
    return max(1, round(preference * 255)) if preference > 0 else 0
