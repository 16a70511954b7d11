"""Small live sites and requests to them, for the tests of the live kernels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from core.collaborative import CollaborativeSettings, fit_neighbourhood
from core.kernels import neighbourhood
from core.kernels.held import Held
from core.kernels.live import Profile, Site
from core.kernels.workspace import Answer, Neighbours, Workspace, answer, neighbours, workspace
from core.live_site import LiveSite
from core.sparse import Rows
from tests.strategies import dense_matrices, rows_from_dense


def live_site(dense: np.ndarray, **settings: Any) -> LiveSite:
    """A site whose model holds the non-zero entries of a dense uint8[users, events]; all postings by default."""
    chosen = CollaborativeSettings(**{"posting_cap": None, **settings})
    return site_of(rows_from_dense(dense), dense.shape[1], chosen)


def site_of(liked: Rows, n_events: int, settings: CollaborativeSettings) -> LiveSite:
    """A site whose model holds `liked`; the site may change its arrays."""
    return LiveSite(liked, fit_neighbourhood(liked, n_events, settings), n_events, settings)


def profile_of(live: LiveSite, user: int, excluded: np.ndarray | None = None) -> Profile:
    """A request by a person of the site, who sees nothing they like, or nothing in `excluded`."""
    events, weights = live.liked(user)
    return Profile(events, weights, events if excluded is None else excluded, user)


@dataclass(frozen=True)
class Desk:
    """Scratch space and outputs for requests with k neighbours and n answers."""

    space: Workspace
    neighbours: Neighbours
    answer: Answer

    @classmethod
    def for_site(cls, live: LiveSite, k: int, n: int) -> "Desk":
        return cls(workspace(live.user_room, live.event_room), neighbours(k), answer(n))

    @cached_property
    def _held(self) -> tuple[Held[Workspace], Held[Neighbours], Held[Answer]]:
        return Held(self.space), Held(self.neighbours), Held(self.answer)

    def recommend(
        self, profile: Profile, site: Held[Site], half_powers: int, open_events: np.ndarray
    ) -> tuple[int, int]:
        """How many events are ranked and how many neighbours there are."""
        return neighbourhood.recommend(*(profile, site, half_powers, open_events), *self._held)


def all_open(live: LiveSite) -> np.ndarray:
    """uint8[event room]: every event that there is, open."""
    marks = np.zeros(live.event_room, np.uint8)
    marks[: live.n_events] = 1
    return marks


def is_at_rest(space: Workspace) -> bool:
    """Whether the scratch space holds what a request expects to find."""
    clear = (space.user_sums, space.event_sums, space.rank_of_event, space.is_ranked)
    return not any(array.any() for array in clear) and bool((space.slot_of_user == -1).all())


@st.composite
def changes(draw: st.DrawFn, live: LiveSite, max_size: int = 12) -> list[tuple[Any, ...]]:
    """Calls of methods of a live site, (name, *arguments), that are in range when they are made in order.

    Some pairs change again and again, and may be taken back.
    """
    n_users, n_events = live.n_users, live.n_events
    calls: list[tuple[Any, ...]] = []
    pairs: list[tuple[int, int]] = []
    for _ in range(draw(st.integers(0, max_size))):
        names = ["add_user", "add_event"]
        if n_users:
            names.append("forget_user")
        if n_users and n_events:
            names += ["set_preference"] * 8
        name = draw(st.sampled_from(names))
        n_users += name == "add_user"
        n_events += name == "add_event"
        if name == "forget_user":
            calls.append((name, draw(st.integers(0, n_users - 1))))
        elif name == "set_preference":
            anything = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_events - 1))
            pairs.append(draw(anything | st.sampled_from(pairs) if pairs else anything))
            weight = draw(st.one_of(st.sampled_from([0, 1, 255]), st.integers(0, 255)))
            calls.append((name, *pairs[-1], weight))
        else:
            calls.append((name,))
    return calls


def make(live: LiveSite, calls: list[tuple[Any, ...]]) -> LiveSite:
    """The site after the calls."""
    for name, *arguments in calls:
        getattr(live, name)(*arguments)
    return live


def dense_of(live: LiveSite) -> np.ndarray:
    """uint8[users, events]: everyone's preferences as the site has them now."""
    dense = np.zeros((live.n_users, live.n_events), np.uint8)
    for user in range(live.n_users):
        events, weights = live.liked(user)
        dense[user, events] = np.rint(weights * 255)
    return dense


@st.composite
def changed_sites(draw: st.DrawFn, max_size: int = 12, **settings: Any) -> LiveSite:
    """A site that has changed since its model, with people and events the model never saw."""
    live = live_site(draw(dense_matrices()), **settings)
    return make(live, draw(changes(live, max_size)))
