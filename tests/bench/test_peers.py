"""The services that the bench compares with do what is asked of them: a comparison with something broken is none."""

import json
from collections.abc import Iterator

import numpy as np
import pytest

from bench.asking import ask
from bench.load import LoadError
from bench.mysql_site import MySQLSite, running_mysql_site
from bench.servers import Server, running_module
from bench.sites import Site, synthetic_site
from core.sparse import Pairs, Rows, no_pairs
from tests.conftest import require_mariadb

for library in ("fastapi", "uvicorn", "pandas", "sklearn", "pymysql", "scipy"):
    pytest.importorskip(library, reason="the bench extra is not installed")

N_USERS, N_EVENTS, N_SAVES, LIMIT = 120, 90, 1_000, 20
#: One of the peers adds up float32.
ROUNDING = 1e-5
SAVES: Rows = synthetic_site(N_USERS, N_EVENTS, N_SAVES, seed=0)


@pytest.fixture(scope="module")
def tables() -> Iterator[MySQLSite]:
    """A small site in a MariaDB."""
    require_mariadb()
    with running_mysql_site(Site(N_EVENTS, SAVES, no_pairs(N_USERS)), is_trained=False) as site:
        yield site


@pytest.fixture(scope="module", params=["in_memory", "replaced"])
def peer(request: pytest.FixtureRequest, tables: MySQLSite) -> Iterator[Server]:
    name = request.param
    log = tables.home / f"{name}.log"
    with running_module(f"bench.peers.{name}", None, log, tables.settings) as server:
        yield server


def answers_by_arm(peer: Server) -> dict[str, dict[int, list[dict]]]:
    """What every person is recommended, by the arm that they have."""
    found: dict[str, dict[int, list[dict]]] = {}
    for user in range(N_USERS):
        said = ask(peer.port, "POST", "/v1/recommendations", {"user_id": str(user + 1), "limit": LIMIT})
        found.setdefault(said["ab_experiment"], {})[user] = said["recommendations"]
    return found


def liked(user: int) -> set[str]:
    return {str(event + 1) for event in SAVES.indices[SAVES.indptr[user] : SAVES.indptr[user + 1]]}


def test_everybody_gets_events_that_are_new_to_them_best_first(peer: Server) -> None:
    found = answers_by_arm(peer)
    assert set(found) == {"control", "collaborative_filtering", "content_based", "hybrid"}
    for people in found.values():
        for user, items in people.items():
            assert len(items) == LIMIT
            assert not liked(user) & {item["event_id"] for item in items}
            scores = [item["score"] for item in items]
            assert scores == sorted(scores, reverse=True)


def test_collaborative_filtering_goes_by_the_cosine_with_other_people(peer: Server) -> None:
    likes = dense(SAVES)
    unit = likes / np.maximum(np.linalg.norm(likes, axis=1, keepdims=True), 1e-9)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, 0.0)
    weakest = np.zeros((N_USERS, 1))
    if peer.process.cmdline()[2].endswith("replaced"):  # the 50 most similar, from 0.1
        weakest = np.maximum(0.1, np.sort(similarity, axis=1)[:, [-50]])
    # Who is exactly as similar as the last one may be asked or not.
    least, most = (
        np.where(similarity >= weakest + slack, similarity, 0.0) @ likes for slack in (ROUNDING, -ROUNDING)
    )
    for user, items in answers_by_arm(peer)["collaborative_filtering"].items():
        best, new = items[0], likes[user] == 0.0
        event = int(best["event_id"]) - 1
        assert least[user, new].max() - ROUNDING <= best["score"] <= most[user, new].max() + ROUNDING
        assert least[user, event] - ROUNDING <= best["score"] <= most[user, event] + ROUNDING


def dense(rows: Rows | Pairs) -> np.ndarray:
    matrix = np.zeros((N_USERS, N_EVENTS))
    matrix[np.repeat(np.arange(N_USERS), np.diff(rows.indptr)), rows.indices] = 1.0
    return matrix


def test_a_wrong_question_is_refused(peer: Server) -> None:
    with pytest.raises(LoadError, match="422"):
        ask(peer.port, "POST", "/v1/recommendations", {"limit": json.dumps([])})
