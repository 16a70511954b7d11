"""Figures of several worker processes in one scrape.

A scrape reaches one worker, and counters that jump between workers are worse than none. So each worker leaves its
figures in a file every few seconds, and whichever is asked answers with its own and the others', told apart by the
label `worker`; adding them up is left to Prometheus, which knows counters from gauges.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

WRITE_SECONDS = 5.0
#: A file that is older was left by a worker that is gone.
STALE_SECONDS = 60.0


class WorkerFigures:
    """The figures of worker `index` in `directory`, beside those of the others."""

    def __init__(self, directory: Path, index: int, render: Callable[[], bytes]) -> None:
        self._file = directory / f"{index}.prom"
        self._render = render

    async def run(self) -> None:
        """Leave the figures every few seconds, for ever. A disk that fails costs figures, nothing else."""
        while True:
            try:
                await asyncio.to_thread(self._write, self._render())
            except OSError as error:
                logger.warning("figures for the other workers: %s", error)
            await asyncio.sleep(WRITE_SECONDS)

    def render_all(self) -> bytes:
        """Every worker's figures in Prometheus's text format; this one's are those of this moment."""
        texts = {path.stem: path.read_text("utf-8") for path in self._others()}
        return merge({self._file.stem: self._render().decode(), **texts})

    def _others(self) -> Iterator[Path]:
        for path in sorted(self._file.parent.glob("*.prom")):
            if path != self._file and time.time() - path.stat().st_mtime < STALE_SECONDS:
                yield path

    def _write(self, figures: bytes) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(figures)
        fresh.replace(self._file)


def merge(texts: dict[str, str]) -> bytes:
    """Figures in text format by worker, as one text in which each sample says whose it is."""
    families: dict[str, Metric] = {}
    for worker, text in texts.items():
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
    registry = CollectorRegistry()
    registry.register(_Ready(families.values()))
    return generate_latest(registry)


class _Ready(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
