"""
Hit ratios by replay: every eviction policy against a clairvoyant one.

    python -m bench.hit_ratio

The traces are made here, from a fixed seed: requests for pages whose popularity
is Zipf's, with scans mixed in (a run of pages read once, in order, as a backup
or a training epoch does it), and the same where readers take each page in small
ranges, so that every page of a scan is hit many times in a moment.  Belady's
MIN knows the future; for pages of equal size nothing can be better, for mixed
sizes it is a good guess at what could be.
"""

from __future__ import annotations

import heapq
import random
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

import attrs

from alluxio_tw.cache.eviction import FIFO, LFU, LRU, S3FIFO, Eviction

Trace = list[tuple[int, int]]
"""Keys and their sizes in bytes, in the order in which they are asked for."""

PAGE = 1 << 20


def zipf(count: int, pages: int, skew: float, seed: int) -> Iterator[int]:
    """
    Keys below C{pages}, key k as often as 1 / (k + 1) ** skew.
    """
    chance = random.Random(seed)
    heights = list(accumulate(1 / (rank + 1) ** skew for rank in range(pages)))
    total = heights[-1]
    for _ in range(count):
        yield bisect_left(heights, chance.random() * total)


def trace(
    count: int,
    pages: int,
    skew: float = 0.9,
    scans: float = 0.0,
    scan_length: int = 2_000,
    ranges: int = 1,
    mixed: bool = False,
    seed: int = 1,
) -> Trace:
    """
    A trace to replay.

    :param count: how many requests, about.
    :param pages: how many different pages the Zipf part draws from.
    :param scans: what share of the requests belongs to scans.
    :param scan_length: how many pages a scan reads; never the same twice.
    :param ranges: how many requests a scan makes for each page, mixed with the
        other traffic.
    :param mixed: sizes from 4 KiB to 1 MiB instead of all 1 MiB.
    """
    chance = random.Random(seed)

    def size(key: int) -> int:
        if not mixed:
            return PAGE
        return 4096 << (key * 2654435761 >> 7) % 9

    made: Trace = []
    fresh = pages
    left = 0
    again = 0
    # A scan runs beside the traffic, at a third of its pace.
    start = scans / max(1.0 - scans, 1e-9) / (scan_length * ranges)
    for key in zipf(round(count * (1 - scans)), pages, skew, seed):
        made.append((key, size(key)))
        if not left and chance.random() < start * 1.4:
            left = scan_length
        if left and chance.random() < 0.75:
            for _ in range(1 if ranges == 1 else 4):
                made.append((fresh, size(fresh)))
                again += 1
                if again >= ranges:
                    again = 0
                    fresh += 1
                    left -= 1
                if not left:
                    break
    return made


@attrs.frozen
class Score:
    """
    What came of a replay, as shares of one.
    """

    hits: float
    byte_hits: float


def replay(trace: Trace, policy: Eviction[int]) -> Score:
    """Run a trace against a policy."""
    hits = byte_hits = total = 0
    for key, size in trace:
        total += size
        if key in policy:
            hits += 1
            byte_hits += size
            policy.touch(key)
        else:
            policy.admit(key, size)
    return Score(hits / len(trace), byte_hits / total)


def belady(trace: Trace, capacity: int) -> Score:
    """
    Belady's MIN: give up what will be wanted last, or do not even take it.
    """
    never = len(trace)
    following = [never] * len(trace)
    seen: dict[int, int] = {}
    for at in range(len(trace) - 1, -1, -1):
        key = trace[at][0]
        following[at] = seen.get(key, never)
        seen[key] = at
    kept: dict[int, int] = {}
    furthest: list[tuple[int, int, int]] = []
    used = hits = byte_hits = total = 0
    for at, (key, size) in enumerate(trace):
        total += size
        when = following[at]
        if key in kept:
            hits += 1
            byte_hits += size
            kept[key] = when
            heapq.heappush(furthest, (-when, key, size))
            continue
        if when == never:
            continue
        kept[key] = when
        used += size
        heapq.heappush(furthest, (-when, key, size))
        while used > capacity:
            last, victim, freed = heapq.heappop(furthest)
            if kept.get(victim) == -last:
                del kept[victim]
                used -= freed
    return Score(hits / len(trace), byte_hits / total)


POLICIES: dict[str, Callable[[int], Eviction[int]]] = {
    "S3FIFO": lambda capacity: S3FIFO(capacity),
    "plain S3FIFO": lambda capacity: S3FIFO(capacity, grace=-1.0),
    "LRU": lambda capacity: LRU(capacity),
    "LFU": lambda capacity: LFU(capacity),
    "FIFO": lambda capacity: FIFO(capacity),
}

TRACES: dict[str, Callable[[], Trace]] = {
    "Zipf 0.9": lambda: trace(150_000, 20_000),
    "Zipf 0.9, 30 % scans": lambda: trace(150_000, 20_000, scans=0.3),
    "Zipf 0.9, 30 % scans, mixed sizes": lambda: trace(
        150_000, 20_000, scans=0.3, mixed=True
    ),
    "Zipf 0.9, scans in 16 ranges a page": lambda: trace(
        300_000, 20_000, scans=0.6, ranges=16, scan_length=2_000
    ),
    "Zipf 1.1, 30 % scans": lambda: trace(150_000, 20_000, skew=1.1, scans=0.3),
}


def main() -> None:
    """Print the table."""
    start = time.monotonic()
    out = sys.stdout
    names = [*POLICIES, "optimum"]
    out.write("Hit ratio in per cent of requests (of bytes where sizes differ)\n")
    for title, make in TRACES.items():
        made = make()
        mixed = "mixed" in title
        all_bytes = sum(dict(made).values())
        out.write(f"\n{title}: {len(made):,} requests, {all_bytes / PAGE:,.0f} MiB\n")
        out.write(f"{'cache':>8}" + "".join(f"{name:>14}" for name in names) + "\n")
        for share in (0.01, 0.05, 0.1, 0.25):
            capacity = int(all_bytes * share)
            scores = [replay(made, make(capacity)) for make in POLICIES.values()]
            scores.append(belady(made, capacity))
            out.write(
                f"{share:>8.0%}"
                + "".join(
                    f"{100 * (score.byte_hits if mixed else score.hits):>14.1f}"
                    for score in scores
                )
                + "\n"
            )
    out.write(f"\n{time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
