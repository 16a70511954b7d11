"""The arms a variant can name, behind one signature."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from core.kernels.live import Profile
from core.recommender import Ranking
from service.live.catalogue import Candidates
from service.live.state import LiveState

#: From the live state, a person's profile, the candidates and n to a ranking of at most n events.
Arm = Callable[[LiveState, Profile, Candidates, int], Ranking]


def _control(state: LiveState, profile: Profile, candidates: Candidates, n: int) -> Ranking:
    return state.recommender.popular(candidates.mask, profile.excluded, n)


def _collaborative_filtering(state: LiveState, profile: Profile, candidates: Candidates, n: int) -> Ranking:
    return state.recommender.collaborative(profile, candidates.mask, n)


ARMS: Mapping[str, Arm] = MappingProxyType(
    {"control": _control, "collaborative_filtering": _collaborative_filtering}
)
