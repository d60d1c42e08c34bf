"""
Samples as tables: of each number the median, and between what it lay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import attrs

from bench.sampling import Sample
from bench.workloads import Workload

COLUMNS = (
    "test",
    "server",
    "ops/s",
    "MB/s",
    "p50 ms",
    "p99 ms",
    "CPU µs/op",
    "nginx/ours",
    "target",
    "errors",
)


@attrs.frozen
class Spread:
    """
    Least, median and most of a number.
    """

    least: float
    middle: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(min(values), median(values), max(values))

    def __str__(self) -> str:
        return f"{short(self.middle)} ({short(self.least)}..{short(self.most)})"


def short(value: float) -> str:
    """A number in three significant digits, and none but zeros after those."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratios(taken: dict[str, list[Sample]]) -> list[float]:
    """
    What nginx spends on an operation, over what we do, round by round.
    """
    return [
        theirs.cpu / ours.cpu
        for theirs, ours in zip(taken.get("nginx", ()), taken["ours"], strict=False)
        if ours.cpu
    ]


def rows(workload: Workload, taken: dict[str, list[Sample]]) -> list[list[str]]:
    """The rows of a workload, one for each server."""
    made = []
    for name, samples in taken.items():
        found = ratios(taken) if name == "ours" else []
        made.append(
            [
                f"{workload.title}, {workload.connections} connections",
                name,
                _spread(samples, lambda sample: sample.rate),
                _spread(samples, lambda sample: sample.megabytes),
                _spread(samples, lambda sample: sample.p50 * 1e3),
                _spread(samples, lambda sample: sample.p99 * 1e3),
                _spread(samples, lambda sample: sample.cpu * 1e6),
                str(Spread.of(found)) if found else "",
                f"{workload.target:.2f}" if workload.target and found else "",
                str(sum(sample.errors for sample in samples)),
            ]
        )
    return made


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown, with columns that also line up as plain text."""
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]

    def row(cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        return f"| {' | '.join(padded)} |"

    return "\n".join(
        [row(head), row(["-" * width for width in widths]), *(row(e) for e in lines)]
    )


def as_values(taken: dict[str, list[Sample]]) -> dict[str, Any]:
    """All samples, for a file of JSON."""
    return {
        name: [attrs.asdict(sample) for sample in samples]
        for name, samples in taken.items()
    }


def _spread(samples: Sequence[Sample], of: Callable[[Sample], float]) -> str:
    return str(Spread.of([of(sample) for sample in samples]))
