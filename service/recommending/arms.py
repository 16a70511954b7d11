"""The arms a variant can name, behind one signature."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from core.content import NO_CONTENT, Taste
from core.kernels.live import Profile
from core.recommender import Ranking
from service.live.catalogue import Candidates
from service.live.state import LiveState


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
    return state.recommender.als(asker.profile, candidates.mask, candidates.events, n)


def _hybrid(state: LiveState, asker: Asker, candidates: Candidates, n: int) -> Ranking:
    profile, taste = asker
    return state.recommender.hybrid(profile, NO_CONTENT, taste, candidates.mask, candidates.events, n)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {"control": _control, "collaborative_filtering": _collaborative_filtering, "als": _als, "hybrid": _hybrid}
)
