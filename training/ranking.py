"""Rankings of many people by each arm, for measuring and for choosing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.content import NO_CONTENT, Content
from core.kernels.live import Profile
from core.live_site import LiveSite
from core.model import Model
from core.recommender import Ranking, Recommender
from core.sparse import row_columns
from core.tastes import NO_TASTE, Taste


class Known(NamedTuple):
    """What is known of events and people beside what these did."""

    content: Content
    stated: Callable[[str], Taste]  #: by user id, what a person states of their taste


NOTHING_KNOWN = Known(NO_CONTENT, lambda _: NO_TASTE)


class RankMany(Protocol):
    """One arm."""

    def __call__(
        self,
        model: Model,
        users: NDArray[np.int32],
        open_events: NDArray[np.uint8],
        n: int,
        known: Known = NOTHING_KNOWN,
    ) -> NDArray[np.int32]:
        """For rows of a model and the open events uint8[events]: rankings int32[rows, n], -1 padded."""
        ...


def _recommender(model: Model) -> Recommender:
    live = LiveSite(
        model.preferences.liked, model.neighbourhood, len(model.events), model.settings.collaborative
    )
    settings = model.settings
    return Recommender(live, model.popularity, model.factors, settings.als, settings.content, model.blend)


def _with_room(open_events: NDArray[np.uint8], room: int) -> NDArray[np.uint8]:
    return np.concatenate((open_events, np.zeros(room - open_events.size, np.uint8)))


def rank_control(
    model: Model,
    users: NDArray[np.int32],
    open_events: NDArray[np.uint8],
    n: int,
    known: Known = NOTHING_KNOWN,
) -> NDArray[np.int32]:
    """The most popular open events that each person does not like yet."""
    recommender = _recommender(model)
    mask = _with_room(open_events, recommender.live.event_room)
    ranked = np.full((users.size, n), -1, np.int32)
    for line, user in enumerate(users.tolist()):
        events = recommender.popular(mask, row_columns(model.preferences.liked, user), n).events
        ranked[line, : len(events)] = events
    return ranked


def rank_collaborative(
    model: Model,
    users: NDArray[np.int32],
    open_events: NDArray[np.uint8],
    n: int,
    known: Known = NOTHING_KNOWN,
) -> NDArray[np.int32]:
    """What each person's neighbourhood likes."""
    recommender = _recommender(model)
    return recommender.collaborative_many(users, _with_room(open_events, recommender.live.event_room), n)


def rank_als(
    model: Model,
    users: NDArray[np.int32],
    open_events: NDArray[np.uint8],
    n: int,
    known: Known = NOTHING_KNOWN,
) -> NDArray[np.int32]:
    """What the factors say of each person."""
    recommender = _recommender(model)
    mask = _with_room(open_events, recommender.live.event_room)
    return rank_each(recommender, users, n, lambda profile: recommender.als(profile, mask, n))


def rank_content(
    model: Model,
    users: NDArray[np.int32],
    open_events: NDArray[np.uint8],
    n: int,
    known: Known = NOTHING_KNOWN,
) -> NDArray[np.int32]:
    """The events most like what each person likes and states."""
    recommender = _recommender(model)
    mask = _with_room(open_events, recommender.live.event_room)

    def rank(profile: Profile) -> Ranking:
        taste = _taste(recommender, model, profile, known)
        return recommender.content_based(known.content, taste, mask, profile.excluded, n)

    return rank_each(recommender, users, n, rank)


def rank_hybrid(
    model: Model,
    users: NDArray[np.int32],
    open_events: NDArray[np.uint8],
    n: int,
    known: Known = NOTHING_KNOWN,
) -> NDArray[np.int32]:
    """The blend of all of them."""
    recommender = _recommender(model)
    mask = _with_room(open_events, recommender.live.event_room)

    def rank(profile: Profile) -> Ranking:
        taste = _taste(recommender, model, profile, known)
        return recommender.hybrid(profile, known.content, taste, mask, n)

    return rank_each(recommender, users, n, rank)


def _taste(recommender: Recommender, model: Model, profile: Profile, known: Known) -> Taste:
    if known is NOTHING_KNOWN:
        return NO_TASTE
    stated = known.stated(model.users.id_at(profile.own_row))
    return recommender.content.taste(known.content, profile, stated)


def rank_each(
    recommender: Recommender, users: NDArray[np.int32], n: int, rank: Callable[[Profile], Ranking]
) -> NDArray[np.int32]:
    """The personal part of each person's ranking, as at a request of theirs."""
    ranked = np.full((users.size, n), -1, np.int32)
    for line, user in enumerate(users.tolist()):
        liked, weights = recommender.live.liked(user)
        ranking = rank(Profile(liked, weights, liked, user))
        ranked[line, : ranking.n_personal] = ranking.events[: ranking.n_personal]
    return ranked


ARMS: Mapping[str, RankMany] = MappingProxyType(
    {
        "control": rank_control,
        "collaborative_filtering": rank_collaborative,
        "content_based": rank_content,
        "als": rank_als,
        "hybrid": rank_hybrid,
    }
)

#: The arms that go by likes alone, of which a table of nothing else can tell.
BY_LIKES = tuple(name for name in ARMS if name != "content_based")
