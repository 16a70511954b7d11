"""A service that works as the contract describes the replaced one: `python -m bench.peers.replaced --port PORT`.

FastAPI, pandas and scikit-learn. The start reads all saves and computes the full user-by-user cosine similarity, which
stays in memory. A request reads who asks, what they did, and which events come next from the database, with blocking
calls on the event loop; `content_based` gives the next events by date; each answer is noted in the database. Left out,
in its favour, are assignments in DynamoDB and the call to CloudWatch that it made in each request.
"""

from collections import defaultdict
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from fastapi import FastAPI
from pydantic import BaseModel
from sklearn.metrics.pairwise import cosine_similarity

from bench.peers.site import DEFAULT_LIMIT, arm_of, connect, serve

#: How many of the next events a request looks at; without a catalogue in memory it has to read them.
CANDIDATES = 1_000
#: `MIN_SIMILARITY_SCORE` of the contract's environment, and how many people are asked.
MIN_SIMILARITY, SIMILAR_USERS = 0.1, 50

_CANDIDATES = "SELECT * FROM events WHERE start_time > UTC_TIMESTAMP() ORDER BY start_time LIMIT %s"
_CANDIDATES_IN = (
    "SELECT * FROM events WHERE start_time > UTC_TIMESTAMP() AND city = %s ORDER BY start_time LIMIT %s"
)
_BY_ID = "SELECT * FROM events WHERE id IN %s AND start_time > UTC_TIMESTAMP()"
_NOTE = (
    "INSERT INTO model_predictions (user_id, model_version, variant, num_recommendations, latency_ms) "
    "VALUES (%s, %s, %s, %s, %s)"
)


class RecommendationRequest(BaseModel):
    """The body of a request for recommendations."""

    user_id: int | str
    city: str | None = None
    limit: int = DEFAULT_LIMIT
    context: dict[str, Any] | None = None


class Recommender:
    """What training leaves, and the database that everything else is read from."""

    def __init__(self) -> None:
        self.connection = connect()
        saves = self.read("SELECT user_id, event_id FROM user_saved_events")
        users, events = saves["user_id"].astype("category"), saves["event_id"].astype("category")
        self.users = {user_id: row for row, user_id in enumerate(users.cat.categories)}
        self.event_ids = events.cat.categories.to_numpy()
        self.matrix = sp.csr_matrix((np.ones(len(saves)), (users.cat.codes, events.cat.codes)))
        self.similarity = cosine_similarity(self.matrix, dense_output=False)
        popularity = saves["event_id"].value_counts()
        self.popularity = (popularity / popularity.max()).to_dict()

    def read(self, sql: str, *arguments: Any) -> pd.DataFrame:
        """The rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return pd.DataFrame(cursor.fetchall(), columns=[column[0] for column in cursor.description])

    def recommend(self, user_id: int, city: str | None, limit: int, arm: str) -> list[dict[str, Any]]:
        """The best events of an arm."""
        saved = self.read("SELECT event_id FROM user_saved_events WHERE user_id = %s", user_id)
        hidden = self.read("SELECT event_id FROM user_hidden_events WHERE user_id = %s", user_id)
        self.read("SELECT * FROM user_preferences WHERE user_id = %s", user_id)
        seen = set(saved["event_id"]) | set(hidden["event_id"])
        candidates = (
            self.read(_CANDIDATES, CANDIDATES)
            if city is None
            else self.read(_CANDIDATES_IN, city, CANDIDATES)
        )
        candidates = candidates[~candidates["id"].isin(seen)]
        if arm == "content_based":
            return _items(candidates.head(limit), {}, "Coming up soon", arm)
        scores = self._scores(user_id, arm, seen)
        wanted = sorted(scores, key=lambda event: scores[event], reverse=True)[: 2 * limit]
        chosen = self.read(_BY_ID, [int(event) for event in wanted]) if wanted else candidates.head(0)
        if len(chosen) < limit:
            chosen = pd.concat(
                [chosen, candidates[~candidates["id"].isin(chosen["id"])].head(limit - len(chosen))]
            )
        chosen = chosen.assign(score=chosen["id"].map(scores).fillna(0.0)).sort_values(
            "score", ascending=False
        )
        return _items(chosen.head(limit), scores, "Recommended for you", arm)

    def _scores(self, user_id: int, arm: str, seen: set[int]) -> dict[int, float]:
        if arm == "control" or user_id not in self.users:
            return {event: score for event, score in self.popularity.items() if event not in seen}
        scores = self._collaborative(self.users[user_id], seen)
        if arm == "hybrid":
            best = max(scores.values(), default=1.0)
            return {
                event: 0.7 * score / best + 0.3 * self.popularity[event] for event, score in scores.items()
            }
        return scores

    def _collaborative(self, row: int, seen: set[int]) -> dict[int, float]:
        similar = self.similarity[row].toarray().ravel()
        similar[row] = 0.0
        scores: dict[int, float] = defaultdict(float)
        for other in np.argsort(similar)[::-1][:SIMILAR_USERS]:
            if similar[other] < MIN_SIMILARITY:
                break
            for event in self.event_ids[self.matrix[other].indices]:
                if event not in seen:
                    scores[event] += similar[other]
        return scores

    def note(self, user_id: str, arm: str, count: int) -> None:
        """Keep what was answered."""
        with self.connection.cursor() as cursor:
            cursor.execute(_NOTE, (user_id, "1.0.0", arm, count, 0.0))


def _items(chosen: pd.DataFrame, scores: dict[int, float], reason: str, arm: str) -> list[dict[str, Any]]:
    return [
        {
            "event_id": str(event["id"]),
            "score": float(scores.get(event["id"], 0.5)),
            "confidence": 0.5,
            "reason": reason,
            "algorithm": arm,
            "metadata": {
                "event_name": event["title"],
                "venue": event["venue_name"],
                "date": event["start_time"].isoformat(),
                "genre": event["genres"],
            },
        }
        for _, event in chosen.iterrows()
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> Any:
    app.state.recommender = Recommender()
    yield


app = FastAPI(lifespan=_lifespan)


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Whether it is trained: it is, once anything is answered."""
    return {"ready": True}


@app.post("/v1/recommendations")
async def recommendations(request: RecommendationRequest) -> dict[str, Any]:
    """The best events for somebody."""
    recommender: Recommender = app.state.recommender
    user_id = str(request.user_id)
    arm = arm_of(user_id)
    items = recommender.recommend(int(user_id), request.city, request.limit, arm)
    recommender.note(user_id, arm, len(items))
    return {"user_id": user_id, "recommendations": items, "model_version": "1.0.0", "ab_experiment": arm}


if __name__ == "__main__":
    serve(app)
