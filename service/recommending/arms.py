"""The arms a variant can name, behind one signature."""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from core.kernels.live import Profile
from core.recommender import Ranking
from core.tastes import NO_TASTE, Taste
from service.live.catalogue import Candidates
from service.live.state import LiveState
from service.live.statements import Stated


class Asker(NamedTuple):
    """The person a request is for, as far as they are known."""

    profile: Profile  #: what they like among the events
    taste: Taste  #: what they like in an event, from that or from elsewhere


#: From the live state, who asks, the candidates and n to a ranking of at most n events.
Arm = Callable[[LiveState, Asker, Candidates, int], Ranking]


def _control(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    return state.recommender.popular(candidates.mask, asker.profile.excluded, n)


def _collaborative_filtering(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    return state.recommender.collaborative(asker.profile, candidates.mask, n)


def _als(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    return state.recommender.als(asker.profile, candidates.mask, n)


def _content_based(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    profile, taste = asker
    return state.recommender.content_based(state.content, taste, candidates.mask, profile.excluded, n)


def _hybrid(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    profile, taste = asker
    return state.recommender.hybrid(profile, state.content, taste, candidates.mask, n)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        "control": _control,
        "collaborative_filtering": _collaborative_filtering,
        "content_based": _content_based,
        "als": _als,
        "hybrid": _hybrid,
    }
)
#: The arms that look at what events are like; the others are spared working a taste out.
_BY_TASTE = frozenset({"content_based", "hybrid"})


def asker_for(
    state: LiveState, arm: str, user_id: str | None, profile: Profile, statements: Iterable[Stated]
) -> Asker:
    """The asker as an arm needs to know them; `statements` come with the request."""
    taste = state.taste(user_id, profile, statements) if arm in _BY_TASTE else NO_TASTE
    return Asker(profile, taste)
