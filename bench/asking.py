"""Single requests to a server, as an operator makes them; and the experiment that makes a mix of arms."""

import http.client
import time
from collections.abc import Mapping
from typing import Any

import orjson

from bench.load import HOST, PATIENCE_SECONDS, LoadError

#: The site's standing experiment (`DEFAULT_EXPERIMENT_ID`).
EXPERIMENT = "rec_algorithm_v1"
_CHOSEN_WITHIN_SECONDS = 20.0
_POLL_SECONDS = 0.05
_HEADERS = {"Content-Type": "application/json"}


def ask(port: int, method: str, path: str, body: Any = None, within: float = PATIENCE_SECONDS) -> Any:
    """What a server answers, decoded. Raises LoadError for another status than 2xx, OSError without a server.

    `within` are the seconds after which a server that says nothing is given up, which is an OSError as well.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=within)
    try:
        connection.request(method, path, None if body is None else orjson.dumps(body), _HEADERS)
        response = connection.getresponse()
        said = response.read()
        if not 200 <= response.status < 300:
            raise LoadError(f"{method} {path}: {response.status} {said[:500]!r}")
        return orjson.loads(said)
    finally:
        connection.close()


def ask_for_training(port: int, within: float) -> None:
    """Train through the service, and return when the training has ended. Raises LoadError when it has failed."""
    ask(port, "POST", "/v1/model/retrain", {"force": True}, within)


def start_mix(port: int, weights: Mapping[str, float]) -> None:
    """Start the standing experiment with an arm for each weight, and return when it chooses.

    Raises LoadError when it does not.
    """
    variants = [{"variant_id": arm, "weight": weight, "arm": arm} for arm, weight in weights.items()]
    ask(port, "PATCH", f"/v1/experiments/{EXPERIMENT}", {"variants": variants})
    ask(port, "POST", f"/v1/experiments/{EXPERIMENT}/start")
    deadline = time.monotonic() + _CHOSEN_WITHIN_SECONDS
    question = {"user_id": "somebody", "internal": True}
    while ask(port, "POST", "/v1/recommendations", question)["ab_experiment"] is None:
        if time.monotonic() > deadline:
            raise LoadError(f"{EXPERIMENT} was started and chooses no arm")
        time.sleep(_POLL_SECONDS)
