"""A new model is published while the service is under load: what the answers' times and the memory make of it."""

import time
from itertools import cycle
from pathlib import Path

from bench.asking import ask
from bench.figures import Findings, Plot
from bench.histograms import histogram_of, percentiles
from bench.load import LoadError
from bench.memory_curves import MemoryWatch
from bench.paced import Pacing, at_random
from bench.rates import CONNECTIONS
from bench.requests import RECOMMENDATION, Crowd, as_a_site_does, encoded
from bench.servers import Server
from core.bundle import open_bundle, write_bundle
from service.models import ModelRegistry

PART = "reload"
RATE, SECONDS, PUBLISHED_AT = 500.0, 8.0, 2.0
_POLL_SECONDS = 0.02
_VERSION = "20990101T000000Z"


def measure_reload(findings: Findings, server: Server, home: Path, crowd: Crowd) -> None:
    """Publish the model again under another version, under load. Raises LoadError when it is not taken over."""
    registry = ModelRegistry(home / "models")
    _copy_model(registry)
    requests = cycle(encoded(as_a_site_does(crowd, seed=2), int(RATE * SECONDS)))
    dues = at_random(RATE, SECONDS, seed=3)
    with MemoryWatch(server) as watch, Pacing(server.port, requests, dues, CONNECTIONS) as pacing:
        pacing.run_for(PUBLISHED_AT)
        registry.publish(_VERSION)
        published = time.perf_counter()
        taken_over = _taken_over(server.port, pacing)
        seen = pacing.finish()
    during = histogram_of(seen.latencies_ms(published, taken_over, RECOMMENDATION))
    findings.add(PART, "while it happens", percentiles(during) | {"failed": len(seen.failed)})
    findings.add(PART, "while it happens", {"seconds": taken_over - published, "peak_mb": watch.peak_mb})
    title = f"Memory at {RATE:g}/s, a model published after {PUBLISHED_AT:g} s"
    findings.plots.append(Plot(title, "seconds", "MB", watch.curves()))


def _copy_model(registry: ModelRegistry) -> None:
    """The current model once more, as another version."""
    bundle = open_bundle(registry.path(registry.current() or ""))
    write_bundle(registry.path(_VERSION), bundle.arrays, {**bundle.facts, "version": _VERSION})


def _taken_over(port: int, pacing: Pacing) -> float:
    """The reading of perf_counter when the new version served."""
    while pacing.is_sending:
        if ask(port, "GET", "/health")["model_version"] == _VERSION:
            return time.perf_counter()
        time.sleep(_POLL_SECONDS)
    raise LoadError(f"the new model was not taken over within {SECONDS - PUBLISHED_AT:g} s")
