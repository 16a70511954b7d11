"""The arms at serving: from a profile and the open events to a ranking with its reasons."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.als import AlsSettings, Factors, FactorScorer, no_factors
from core.content import NO_CONTENT, Content, ContentScorer
from core.hybrid import Blend, band_of, default_blend
from core.kernels.blend import blend, components, pool
from core.kernels.held import Held
from core.kernels.jit import pinned
from core.kernels.listing import first_open
from core.kernels.live import NOBODY, Profile
from core.kernels.neighbourhood import recommend, recommend_many
from core.kernels.ordering import descending_order
from core.kernels.similar import rank_similar
from core.kernels.sketch import Sketch
from core.kernels.workspace import MOST_ANSWERS, Answer, Workspace, answer, neighbours, workspace
from core.live_site import LiveSite
from core.tastes import NO_TASTE, ContentSettings, Taste

_NO_EVENTS = np.empty(0, np.int32)


class Ranking(NamedTuple):
    """The first `n` places of `answer`, which the recommender uses again for its next ranking.

    The first `n_personal` events were scored from what is known of the person and carry reasons. The other events come
    from the popularity list; their score is their popularity, times the least personal score where there is one, so
    that scores descend.
    """

    held: Held[Answer]
    n_personal: int
    n: int

    @property
    def answer(self) -> Answer:
        """The places, best first."""
        return self.held.value

    @property
    def events(self) -> list[int]:
        """The indices of the events, best first."""
        events: list[int] = self.answer.events[: self.n].tolist()
        return events


class Recommender:
    """Ranks the events of one live site, one request at a time; holds the scratch space that takes.

    `popularity` float32[events], 0…1, is the score of the control arm. Not for two threads at once.
    """

    def __init__(
        self,
        live: LiveSite,
        popularity: NDArray[np.float32],
        factors: Factors | None = None,
        als_settings: AlsSettings | None = None,
        content_settings: ContentSettings | None = None,
        blend: Blend | None = None,
        sketch: Sketch | None = None,
        rest: Callable[[], None] = lambda: None,
    ) -> None:
        self.live = live
        self.content = ContentScorer(content_settings or ContentSettings(), rest)
        rest()
        self._popularity = np.zeros(live.event_room, np.float32)
        self._popularity[: popularity.size] = popularity
        rest()
        self._order: NDArray[np.int32] = descending_order(self._popularity)
        rest()
        self._neighbours = Held(neighbours(live.settings.neighbours))
        self._space = Held(workspace(live.user_room, live.event_room))
        self._answers: dict[int, Held[Answer]] = {}
        self._factors = FactorScorer(
            factors or no_factors(), als_settings or AlsSettings(), self._space, sketch
        )
        self._blend = blend or default_blend()
        self._pool = Held(pool())
        rest()
        self._recommend = self._pin_recommend()
        rest()
        self._blended = self._pin_blend()
        rest()
        self._similar = self._pin_similar()
        self._first_open = self._pin_first_open()

    @property
    def popularity(self) -> NDArray[np.float32]:
        """float32[events], 0…1: the score of the control arm."""
        return self._popularity

    @property
    def popular_first(self) -> NDArray[np.int32]:
        """int32[events]: all events by popularity, ties to the lower index."""
        return self._order

    def popular(self, open_events: NDArray[np.uint8], excluded: NDArray[np.int32], n: int) -> Ranking:
        """`control`: the most popular open events that are not excluded."""
        out = self._answer(n)
        return Ranking(out, 0, self._fill(out, 0, open_events, excluded))

    def collaborative(self, profile: Profile, open_events: NDArray[np.uint8], n: int) -> Ranking:
        """`collaborative_filtering`: what the neighbourhood likes, then, where that ends, what is popular."""
        out, half_powers = self._answer(n), self.live.settings.half_powers
        n_personal, _ = self._recommend(
            profile, self.live.held, half_powers, open_events, self._room(), self._neighbours, out
        )
        return self._filled_up(out, n_personal, open_events, profile.excluded)

    def als(self, profile: Profile, open_events: NDArray[np.uint8], n: int) -> Ranking:
        """`als`: what the factors say of a person, then, where that ends, what is popular.

        The factors know the events of the training only.
        """
        out = self._answer(n)
        n_personal = self._factors.rank(profile, open_events, self._room(), out)
        return self._filled_up(out, n_personal, open_events, profile.excluded)

    def similar(
        self, event: int, open_events: NDArray[np.uint8], n: int, excluded: NDArray[np.int32] = _NO_EVENTS
    ) -> Ranking:
        """The events whose savers are most like those of one event, by cosine: those that share any, at most n.

        Raises IndexError for an event that is not of the site.
        """
        if not 0 <= event < self.live.n_events:
            raise IndexError(f"event {event} is not of this site")
        out = self._answer(n)
        squares = self.live.event_squares
        found = self._similar(event, self.live.held, squares, open_events, excluded, self._room(), out)
        return Ranking(out, found, found)

    def alike(
        self,
        event: int,
        content: Content,
        open_events: NDArray[np.uint8],
        n: int,
    ) -> Ranking:
        """Of the open events those that are most like one event by what they are like, at most n."""
        out = self._answer(n)
        itself = np.array([event], np.int32)
        taste = self.content.taste(content, Profile(itself, np.ones(1, np.float32), itself, -1), NO_TASTE)
        found = self.content.rank(content, taste, open_events, itself, out)
        return Ranking(out, found, found)

    def content_based(
        self,
        content: Content,
        taste: Taste,
        open_events: NDArray[np.uint8],
        excluded: NDArray[np.int32],
        n: int,
    ) -> Ranking:
        """`content_based`: the open events most like what a person likes, then, where that ends, what is popular."""
        out = self._answer(n)
        n_personal = self.content.rank(content, taste, open_events, excluded, out)
        return self._filled_up(out, n_personal, open_events, excluded)

    def hybrid(
        self,
        profile: Profile,
        content: Content,
        taste: Taste,
        open_events: NDArray[np.uint8],
        n: int,
    ) -> Ranking:
        """`hybrid`: all of them blended (`core.hybrid`), then, where nothing more is known, what is popular."""
        out, band = self._answer(n), band_of(profile.events.size)
        held_content, content_space = self.content.hold(content)
        n_personal = self._blended(
            *(profile, taste, self.live.held, self.live.settings.half_powers, open_events),
            *(self._factors.factors, self._factors.activity, held_content),
            *(self._popularity, self.live.event_masses, self._blend.weights[band]),
            *(self._blend.discounts[band], self._room(), content_space, self._neighbours, self._pool, out),
        )
        return self._filled_up(out, n_personal, open_events, profile.excluded)

    def components(
        self, profile: Profile, open_events: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """What there is to blend but for content: events int32[m], and their scores float64[components, m]."""
        scores: NDArray[np.float64] = components(
            *(profile, self.live.held, self.live.settings.half_powers, open_events),
            *(self._factors.factors, self._factors.activity, self._popularity, self.live.event_masses),
            *(self._room(), self._neighbours, self._pool),
        )
        return self._pool.value.events[: scores.shape[1]].copy(), scores

    def collaborative_many(
        self, users: NDArray[np.int32], open_events: NDArray[np.uint8], n: int
    ) -> NDArray[np.int32]:
        """Rankings int32[m, n] for many rows of the model, by the neighbourhood alone, -1 where it ends."""
        ranked = np.empty((users.size, n), np.int32)
        half_powers = self.live.settings.half_powers
        recommend_many(
            *(users, self.live.held, half_powers, open_events),
            *(self._room(), self._neighbours, self._answer(n), ranked),
        )
        return ranked

    def set_popularity(self, events: NDArray[np.int32], popularity: NDArray[np.float32]) -> None:
        """Set the popularity of events the model did not know, float32 in 0…1."""
        if self._popularity.size < self.live.event_room:
            longer = np.zeros(self.live.event_room, np.float32)
            longer[: self._popularity.size] = self._popularity
            self._popularity = longer
        self._popularity[events] = popularity
        self._order = descending_order(self._popularity)

    def _pin_recommend(self) -> Callable[..., tuple[int, int]]:
        half_powers, open_events = self.live.settings.half_powers, np.empty(0, np.uint8)
        return pinned(
            *(recommend, NOBODY, self.live.held, half_powers),
            *(open_events, self._space, self._neighbours, Held(answer(1))),
        )

    def _pin_blend(self) -> Callable[..., int]:
        half_powers, open_events = self.live.settings.half_powers, np.empty(0, np.uint8)
        content, content_space = self.content.hold(NO_CONTENT)
        return pinned(
            *(blend, NOBODY, NO_TASTE, self.live.held, half_powers, open_events),
            *(self._factors.factors, self._factors.activity, content),
            *(self._popularity, self.live.event_masses, self._blend.weights[0], self._blend.discounts[0]),
            *(self._space, content_space, self._neighbours, self._pool, Held(answer(1))),
        )

    def _pin_similar(self) -> Callable[..., int]:
        open_events = np.empty(0, np.uint8)
        return pinned(
            *(rank_similar, 0, self.live.held, self.live.event_squares),
            *(open_events, _NO_EVENTS, self._space, Held(answer(1))),
        )

    def _pin_first_open(self) -> Callable[..., int]:
        open_events = np.empty(0, np.uint8)
        return pinned(
            *(first_open, self._order, self._popularity, open_events),
            *(_NO_EVENTS, self._space, Held(answer(1)), 0),
        )

    def _filled_up(
        self, out: Held[Answer], n_personal: int, open_events: NDArray[np.uint8], excluded: NDArray[np.int32]
    ) -> Ranking:
        """The ranking with popular events behind the personal ones, up to the answer's length."""
        if n_personal == out.value.events.size:
            return Ranking(out, n_personal, n_personal)
        excluded = np.concatenate((excluded, out.value.events[:n_personal]))
        return Ranking(out, n_personal, self._fill(out, n_personal, open_events, excluded))

    def _fill(
        self, out: Held[Answer], start: int, open_events: NDArray[np.uint8], excluded: NDArray[np.int32]
    ) -> int:
        return self._first_open(
            self._order, self._popularity, open_events, excluded, self._room(), out, start
        )

    def _room(self) -> Held[Workspace]:
        users, events, space = self.live.user_room, self.live.event_room, self._space.value
        if space.user_sums.size < users or space.event_sums.size < events:
            self._space = Held(workspace(users, events))
        return self._space

    def _answer(self, n: int) -> Held[Answer]:
        if not 1 <= n <= MOST_ANSWERS:
            raise ValueError(f"n: expected 1 to {MOST_ANSWERS}, got {n}")
        return self._answers.get(n) or self._answers.setdefault(n, Held(answer(n)))
