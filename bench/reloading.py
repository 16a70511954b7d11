"""A new model is published while the service is under load: what the answers' times and the memory make of it."""

import time
from itertools import cycle
from pathlib import Path

from bench.figures import Findings, Plot
from bench.histograms import histogram_of, percentiles
from bench.memory_curves import MemoryWatch
from bench.paced import Pacing, at_random
from bench.rates import CONNECTIONS
from bench.reload import second_model, wait_for_model
from bench.requests import RECOMMENDATION, Crowd, as_a_site_does, encoded
from bench.servers import Server
from service.models import ModelRegistry

PART = "reload"
RATE, SECONDS, PUBLISHED_AT = 500.0, 8.0, 2.0


def measure_reload(findings: Findings, server: Server, home: Path, crowd: Crowd) -> None:
    """Publish the model again under another version, under load. Raises LoadError when it is not taken over."""
    registry = ModelRegistry(home / "models")
    version = second_model(registry)
    requests = cycle(encoded(as_a_site_does(crowd, seed=2), int(RATE * SECONDS)))
    dues = at_random(RATE, SECONDS, seed=3)
    with MemoryWatch(server) as watch, Pacing(server.port, requests, dues, CONNECTIONS) as pacing:
        pacing.run_for(PUBLISHED_AT)
        registry.publish(version)
        published = time.perf_counter()
        wait_for_model(server.port, version, SECONDS - PUBLISHED_AT)
        taken_over = time.perf_counter()
        seen = pacing.finish()
    during = histogram_of(seen.latencies_ms(published, taken_over, RECOMMENDATION))
    findings.add(PART, "while it happens", percentiles(during) | {"failed": len(seen.failed)})
    findings.add(PART, "while it happens", {"seconds": taken_over - published, "peak_mb": watch.peak_mb})
    title = f"Memory at {RATE:g}/s, a model published after {PUBLISHED_AT:g} s"
    findings.plots.append(Plot(title, "seconds", "MB", watch.curves()))
