"""
Counts and latencies as lists of numbers, and as what Prometheus makes of them.

A tally has a number for each latency bucket, how many fell just there, and then
how many seconds and bytes it all came to.  To count is to bump some of them in
place; sums and cumulative buckets are for whoever scrapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

Tally = list[float]
Labels = tuple[str, ...]

# fmt: off
BOUNDS = (
    0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08,
    0.16, 0.32, 0.64, 1.28, 2.5, 5.0, 10.0, 30.0, 60.0,
)
# fmt: on
"""Upper bounds of the latency buckets, in seconds; Alluxio's are among them."""

ALLUXIO_BOUNDS = (0.01, 0.04, 0.16, 0.64)

SECONDS = len(BOUNDS) + 1
"""Where the sum of latencies is; before it, what was above all bounds."""

BYTES_IN = SECONDS + 1
BYTES_OUT = SECONDS + 2
EMPTY: Tally = [0.0] * (SECONDS + 3)

_bounds = [str(bound) for bound in BOUNDS] + ["+Inf"]


def count_of(tally: Tally) -> float:
    """How many were counted."""
    return sum(tally[:SECONDS])


def add(into: dict[Labels, float], labels: Labels, number: float) -> None:
    """Add to the number of these labels."""
    into[labels] = into.get(labels, 0) + number


def merge(into: dict[Labels, Tally], labels: Labels, tally: Tally) -> None:
    """Add to the tally of these labels."""
    sums = into.get(labels)
    if sums is None:
        into[labels] = tally[:]
    else:
        into[labels] = [a + b for a, b in zip(sums, tally, strict=True)]


def counter(
    name: str, documentation: str, labels: Labels, counts: Mapping[Labels, float]
) -> CounterMetricFamily:
    """
    A family of counters.

    :param name: without C{_total}.
    """
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def histogram(
    name: str, documentation: str, labels: Labels, tallies: Mapping[Labels, Tally]
) -> HistogramMetricFamily:
    """
    A family of histograms, in seconds.
    """
    family = HistogramMetricFamily(name, documentation, labels=labels)
    for values, tally in tallies.items():
        buckets = zip(_bounds, accumulate(tally[:SECONDS]), strict=True)
        family.add_metric(values, list(buckets), tally[SECONDS])
    return family


def coarse_histogram(
    name: str, documentation: str, labels: Labels, tallies: Mapping[Labels, Tally]
) -> HistogramMetricFamily:
    """
    A family of histograms in milliseconds, with Alluxio's four buckets.
    """
    family = HistogramMetricFamily(name, documentation, labels=labels)
    at = [BOUNDS.index(bound) for bound in ALLUXIO_BOUNDS]
    for values, tally in tallies.items():
        below = list(accumulate(tally[:SECONDS]))
        buckets: list[tuple[str, float]] = [
            (f"{bound * 1000:.1f}", below[index])
            for bound, index in zip(ALLUXIO_BOUNDS, at, strict=True)
        ]
        buckets.append(("+Inf", below[-1]))
        family.add_metric(values, buckets, tally[SECONDS] * 1000)
    return family
