"""A service as a team that minds speed would write it today: `python -m bench.peers.in_memory --port PORT`.

Everything is read at the start and kept in memory: interactions as SciPy rows, normalised once, and the fields of each
event, ready to be put into an answer. A request multiplies sparse rows, takes the best by partial sorting, and is
encoded by orjson. No database is asked.
"""

from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import scipy.sparse as sp
from fastapi import FastAPI, Response
from numpy.typing import NDArray
from pydantic import BaseModel

from bench.peers.site import DEFAULT_LIMIT, NEIGHBOURS, arm_of, connect, serve

_EVENTS = (
    "SELECT id, title, start_time, end_time, venue_name, city, ticket_url, images, genres, price_min "
    "FROM events WHERE start_time > UTC_TIMESTAMP() ORDER BY id"
)
_REASONS = {
    "control": "Popular right now",
    "collaborative_filtering": "People with the same taste like this",
    "content_based": "Like what you saved",
    "hybrid": "Recommended for you",
}
_REASON_TYPES = {"control": "popularity", "content_based": "genre_match"}


class Asked(BaseModel):
    """The body of a request for recommendations."""

    user_id: int | str
    city: str | None = None
    limit: int = DEFAULT_LIMIT
    context: dict[str, Any] | None = None


class Site:
    """The site in memory; people and events go by their row."""

    def __init__(self) -> None:
        with connect() as connection, connection.cursor() as cursor:
            cursor.execute(_EVENTS)
            rows = cursor.fetchall()
            cursor.execute("SELECT user_id, event_id FROM user_saved_events")
            saves = cursor.fetchall()
        self.events = [_fields(row) for row in rows]
        event_rows = {row["id"]: number for number, row in enumerate(rows)}
        kept = [
            (save["user_id"], event_rows[save["event_id"]])
            for save in saves
            if save["event_id"] in event_rows
        ]
        users, events = np.array(kept).T
        ids, user_rows = np.unique(users, return_inverse=True)
        self.rows = {str(user_id): row for row, user_id in enumerate(ids.tolist())}
        ones = np.ones(users.size, np.float32)
        self.likes = sp.csr_matrix((ones, (user_rows, events)), (ids.size, len(rows)))
        self.likes.sort_indices()
        self.unit = _unit(self.likes)
        self.transposed = self.unit.T.tocsr()
        self.popularity = np.asarray(self.likes.sum(axis=0)).ravel()
        self.by_popularity = np.argsort(-self.popularity, kind="stable")
        self.features = _unit(_features(rows))
        cities = np.array([row["city"] or "" for row in rows])
        self.open_in = {city: cities == city for city in set(cities.tolist())}

    def seen(self, user: int) -> NDArray[np.int32]:
        """The events that a person has saved."""
        indptr = self.likes.indptr
        return np.asarray(self.likes.indices[indptr[user] : indptr[user + 1]])

    def control(self, user: int) -> NDArray[np.float32]:
        """The popularity of every event."""
        return self.popularity.copy()

    def collaborative_filtering(self, user: int) -> NDArray[np.float32]:
        """What the nearest people by cosine have saved, for every event."""
        similarity = self.unit[user] @ self.transposed
        similarity.data[similarity.indices == user] = 0.0
        nearest, weights = similarity.indices, similarity.data
        if weights.size > NEIGHBOURS:
            best = np.argpartition(weights, -NEIGHBOURS)[-NEIGHBOURS:]
            nearest, weights = nearest[best], weights[best]
        votes = sp.csr_matrix((weights, nearest, [0, nearest.size]), (1, self.likes.shape[0])) @ self.likes
        scores = np.zeros(len(self.events), np.float32)
        scores[votes.indices] = votes.data
        return scores

    def content_based(self, user: int) -> NDArray[np.float32]:
        """How much every event is like those that a person has saved."""
        taste = np.asarray(self.features[self.seen(user)].sum(axis=0)).ravel()
        return np.asarray(self.features @ taste, np.float32)

    def hybrid(self, user: int) -> NDArray[np.float32]:
        """All of them in equal parts, each in units of its best."""
        parts = (self.collaborative_filtering(user), self.content_based(user), self.popularity)
        return np.asarray(sum(part / max(float(part.max()), 1e-9) for part in parts), np.float32)

    def best(self, scores: NDArray[np.float32], user: int, city: str | None, n: int) -> NDArray[np.intp]:
        """The n best of the open events that are new to a person."""
        scores[self.seen(user)] = -1.0
        if city is not None:
            scores[~self.open_in[city]] = -1.0
        best = np.argpartition(scores, -n)[-n:]
        return best[np.argsort(-scores[best], kind="stable")]


def _unit(rows: Any) -> Any:
    """The rows at length 1."""
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return (sp.diags(1.0 / np.maximum(lengths, 1e-9)) @ rows).astype(np.float32).tocsr()


def _features(rows: Any) -> Any:
    """Which city, venue, weekday and genres each event has: one column for each that occurs."""
    words = [
        [row["city"], row["venue_name"], row["start_time"].weekday(), *orjson.loads(row["genres"] or "[]")]
        for row in rows
    ]
    columns = {
        word: column for column, word in enumerate(dict.fromkeys(word for own in words for word in own))
    }
    indices = [columns[word] for own in words for word in own]
    indptr = np.concatenate(([0], np.cumsum([len(own) for own in words])))
    return sp.csr_matrix((np.ones(len(indices), np.float32), indices, indptr), (len(rows), len(columns)))


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """What an answer says of an event, whoever asks."""
    start, genres = row["start_time"].isoformat(), orjson.loads(row["genres"] or "[]")
    return {
        "event_id": str(row["id"]),
        "title": row["title"],
        "start_time": start,
        "end_time": row["end_time"].isoformat() if row["end_time"] else None,
        "venue_name": row["venue_name"],
        "city": row["city"],
        "ticket_url": row["ticket_url"],
        "images": orjson.loads(row["images"] or "[]"),
        "genres": genres,
        "price": None if row["price_min"] is None else float(row["price_min"]),
        "metadata": {"event_name": row["title"], "venue": row["venue_name"], "date": start, "genre": genres},
    }


@asynccontextmanager
async def _lifespan(app: FastAPI) -> Any:
    app.state.site = Site()
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Whether the site is read: it is, once anything is answered."""
    return {"ready": True}


@app.post("/v1/recommendations")
async def recommendations(asked: Asked) -> Response:
    """The best events for somebody."""
    site: Site = app.state.site
    user_id = str(asked.user_id)
    arm, user = arm_of(user_id), site.rows.get(user_id)
    if user is None:
        best, scores, arm = site.by_popularity[: asked.limit], site.popularity, "control"
    else:
        scores = getattr(site, arm)(user)
        best = site.best(scores, user, asked.city, asked.limit)
    items = [
        _item(site.events[event], score, arm)
        for event, score in zip(best.tolist(), scores[best].tolist(), strict=True)
    ]
    body = {"user_id": user_id, "recommendations": items, "model_version": "1", "ab_experiment": arm}
    return Response(orjson.dumps(body), media_type="application/json")


def _item(event: dict[str, Any], score: float, arm: str) -> dict[str, Any]:
    reason_type = _REASON_TYPES.get(arm, "collaborative")
    return {
        **event,
        "score": score,
        "confidence": score,
        "rank_score": score,
        "reason": _REASONS[arm],
        "rank_reasons": [{"type": reason_type, "weight": score}],
        "algorithm": arm,
    }


if __name__ == "__main__":
    serve(app)
