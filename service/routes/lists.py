"""GET /v1/events/popular, /upcoming, /latest and /{event_id}/similar: lists that are the same for everybody."""

from collections.abc import Callable
from time import perf_counter

import orjson
from aiohttp import web

from service.errors import NotFoundError
from service.live.catalogue import Candidates
from service.live.event import json_text
from service.live.state import LiveState
from service.recommending.asking import find_candidates
from service.recommending.listing import Page, encode_page, latest, popular, similar, upcoming
from service.serving import Serving
from service.settings import Settings
from service.wire import EventsRequest, decode_query

#: From the live state, candidates, offset and limit to a piece of a list.
Order = Callable[[LiveState, Candidates, int, int], Page]

_ANSWER = (
    b'{"events":[%b],"count":%d,"total":%d,"offset":%d,"notice":%b,"model_version":"%b","latency_ms":%.3f}'
)


class ListRoutes:
    """The handlers with what they need."""

    def __init__(self, serving: Serving, settings: Settings, clock: Callable[[], float]) -> None:
        self._serving = serving
        self._settings = settings
        self._clock = clock

    async def popular(self, request: web.Request) -> web.Response:
        """The most popular events."""
        return self._answer(request, popular)

    async def upcoming(self, request: web.Request) -> web.Response:
        """The next events to start."""
        return self._answer(request, upcoming)

    async def latest(self, request: web.Request) -> web.Response:
        """The events that were listed last."""
        return self._answer(request, latest)

    async def similar(self, request: web.Request) -> web.Response:
        """The events that the same people like as one event, which itself may be over; or that are like it.

        They are like it in genres, venue and the rest where nobody has saved it, or nothing else that is on.
        """
        event_id = request.match_info["event_id"]

        def order(state: LiveState, candidates: Candidates, offset: int, limit: int) -> Page:
            event = state.event_index(event_id)
            if event < 0:
                raise NotFoundError(f"There is no event {event_id[:100]!r}")
            return similar(state, event, candidates, offset, limit)

        return self._answer(request, order)

    def _answer(self, request: web.Request, order: Order) -> web.Response:
        started = perf_counter()
        asked = decode_query(request.query)
        state = self._serving.state
        candidates, _, notice = find_candidates(state, asked.city, asked.limits(), self._clock())
        page = order(state, candidates, asked.offset, self._limit(asked))
        body = _ANSWER % (
            encode_page(page, state.catalogue.cards),
            page.events.size,
            page.total,
            asked.offset,
            orjson.dumps(notice),
            json_text(state.version),
            (perf_counter() - started) * 1000.0,
        )
        return web.Response(body=body, content_type="application/json")

    def _limit(self, asked: EventsRequest) -> int:
        limit = asked.limit or self._settings.default_recommendation_count
        return min(limit, self._settings.max_recommendation_count)
