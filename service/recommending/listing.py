"""Lists that are the same for everybody: the events of one order that are open and within limits, page by page."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.workspace import MOST_ANSWERS
from service.live.cards import MEMBERS, Cards
from service.live.catalogue import Candidates
from service.live.state import LiveState


class Page(NamedTuple):
    """A piece of a list."""

    events: NDArray[np.int32]  #: indices, in the order of the list
    scores: NDArray[np.float32] | None  #: of each event, 0…1; None for an order by time
    total: int  #: events of the whole list


def popular(state: LiveState, candidates: Candidates, offset: int, limit: int) -> Page:
    """By popularity as the control arm has it."""
    page = _page(state.recommender.popular_first, candidates, offset, limit)
    return page._replace(scores=state.recommender.popularity[page.events])


def upcoming(state: LiveState, candidates: Candidates, offset: int, limit: int) -> Page:
    """The next to start first."""
    return _page(state.catalogue.soonest_first(), candidates, offset, limit)


def latest(state: LiveState, candidates: Candidates, offset: int, limit: int) -> Page:
    """The last to be listed first."""
    return _page(state.catalogue.latest_first(), candidates, offset, limit)


def similar(state: LiveState, event: int, candidates: Candidates, offset: int, limit: int) -> Page:
    """The events that the same people like, by cosine; where there are none, those most like it. At most 255."""
    ranking = state.recommender.similar(event, candidates.mask, MOST_ANSWERS)
    if not ranking.n:
        ranking = state.recommender.alike(event, state.content, candidates.mask, MOST_ANSWERS)
    shown = slice(offset, min(offset + limit, ranking.n))
    return Page(ranking.answer.events[shown], ranking.answer.scores[shown], ranking.n)


def encode_page(page: Page, cards: Cards) -> bytes:
    """The events as the members of a JSON list: their cards, which are encoded already, and the scores."""
    scores = ["null"] * page.events.size if page.scores is None else [f"{score:.6f}" for score in page.scores]
    bounds = cards.bounds[page.events].tolist()
    return b",".join(
        b'{%b,"score":%b}' % (cards.blob[bound[MEMBERS] : bound[MEMBERS + 1]].tobytes(), score.encode())
        for bound, score in zip(bounds, scores, strict=True)
    )


def _page(order: NDArray[np.int32], candidates: Candidates, offset: int, limit: int) -> Page:
    """`order` int32[events] has every event once."""
    listed = order[candidates.mask[order] != 0]
    return Page(listed[offset : offset + limit], None, listed.size)
