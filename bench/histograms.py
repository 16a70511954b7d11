"""Latencies as HdrHistograms: every value to three digits, from a microsecond to a minute."""

from collections.abc import Iterable

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from bench.figures import Curve

_LONGEST_US, _DIGITS = 60_000_000, 3
_PERCENTS = (50.0, 90.0, 95.0, 99.0, 99.9)
#: Of a curve, so that its tail has as many points as its middle.
_CURVE = 1.0 - np.logspace(0.0, -4.0, 80)


def histogram_of(latencies_ms: NDArray[np.float64]) -> HdrHistogram:
    """A histogram in microseconds."""
    histogram = HdrHistogram(1, _LONGEST_US, _DIGITS)
    for microseconds in np.maximum(1, np.rint(latencies_ms * 1000.0)).astype(np.int64).tolist():
        histogram.record_value(min(microseconds, _LONGEST_US))
    return histogram


def milliseconds(histogram: HdrHistogram, percent: float) -> float:
    """The latency that so many percent are not above."""
    return float(histogram.get_value_at_percentile(percent)) / 1000.0


def percentiles(histogram: HdrHistogram, percents: Iterable[float] = _PERCENTS) -> dict[str, float]:
    """The usual percentiles and the greatest value, ms, by name."""
    named = {f"p{percent:g}_ms".replace(".", ""): milliseconds(histogram, percent) for percent in percents}
    return named | {"max_ms": float(histogram.get_max_value()) / 1000.0}


def distribution(label: str, histogram: HdrHistogram) -> Curve:
    """The cumulative distribution: latency against the percent of answers that were as fast."""
    shares = [float(share) for share in _CURVE * 100.0]
    return Curve(label, tuple(milliseconds(histogram, share) for share in shares), tuple(shares))
