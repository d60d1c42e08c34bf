"""
Eviction policies.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.cache.eviction import (
    FIFO,
    LFU,
    LRU,
    S3FIFO,
    Eviction,
    make_eviction,
)
from alluxio_tw.errors import WrongConfiguration
from bench.hit_ratio import belady, replay, trace

POLICIES: tuple[type[Eviction[int]], ...] = (S3FIFO, LRU, LFU, FIFO)


class EveryPolicyTests(SynchronousTestCase):
    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(POLICIES),
        st.integers(1, 100),
        st.lists(
            st.tuples(
                st.sampled_from(["admit", "restore", "touch", "remove", "resize"]),
                st.integers(0, 20),
                st.integers(1, 40),
            ),
            max_size=120,
        ),
        st.sets(st.integers(0, 20), max_size=6),
    )
    def test_books(
        self,
        kind: Callable[..., Eviction[int]],
        capacity: int,
        deeds: list[tuple[str, int, int]],
        held: set[int],
    ) -> None:
        """The books agree with a plain account of what was admitted and evicted."""
        policy = kind(capacity, held.__contains__)
        there: dict[int, int] = {}
        for deed, key, size in deeds:
            victims: list[int] = []
            if deed in ("admit", "restore"):
                known = key in there
                victims = getattr(policy, deed)(key, size)
                if not known:
                    there[key] = size
                else:
                    self.assertEqual(victims, [])
            elif deed == "touch":
                policy.touch(key)
            elif deed == "remove":
                policy.remove(key)
                there.pop(key, None)
            else:
                policy.capacity = size
                victims = policy.shrink()
            self.assertEqual(len(set(victims)), len(victims))
            for victim in victims:
                if victim != key or deed == "resize":
                    self.assertNotIn(victim, held)
                del there[victim]
            self.assertEqual(policy.used, sum(there.values()))
            self.assertEqual(len(policy), len(there))
            for other in range(21):
                self.assertEqual(other in policy, other in there)
            if not held:
                self.assertLessEqual(policy.used, policy.capacity)

    def test_all_held(self) -> None:
        """When every key is held, nothing is evicted and nothing admitted."""
        for kind in POLICIES:
            policy = kind(100, lambda key: key < 10)
            for key in range(10):
                self.assertEqual(policy.admit(key, 10), [])
            self.assertEqual(policy.admit(10, 10), [10])
            self.assertEqual(len(policy), 10)

    def test_too_large(self) -> None:
        """What is larger than the capacity is its own and only victim."""
        for kind in POLICIES:
            policy = kind(100)
            policy.admit(1, 100)
            self.assertEqual(policy.admit(2, 101), [2])
            self.assertIn(1, policy)


class OrderTests(SynchronousTestCase):
    def fill(self, policy: Eviction[int], touched: int) -> Eviction[int]:
        for key in range(10):
            policy.admit(key, 10)
        for _ in range(3):
            policy.touch(touched)
        return policy

    def test_lru(self) -> None:
        """LRU gives up what was asked for longest ago."""
        policy = self.fill(LRU(100), 0)
        self.assertEqual(policy.admit(10, 10), [1])

    def test_fifo(self) -> None:
        """FIFO gives up what came first, hits or not."""
        policy = self.fill(FIFO(100), 0)
        self.assertEqual(policy.admit(10, 10), [0])

    def test_lfu(self) -> None:
        """LFU gives up what was asked for least, and of those the oldest."""
        policy = self.fill(LFU(100), 0)
        self.assertEqual(policy.admit(10, 35), [1, 2, 3, 4])
        self.assertIn(0, policy)

    def test_lfu_buckets(self) -> None:
        """LFU tells counts apart by their logarithm only."""
        policy: LFU[str] = LFU(20)
        policy.admit("four hits", 10)
        policy.admit("six hits", 10)
        for _ in range(5):
            policy.touch("six hits")
        for _ in range(3):
            policy.touch("four hits")
        # Both lie between 4 and 8: the one asked for longer ago goes.
        self.assertEqual(policy.admit("new", 10), ["six hits"])

    def test_s3fifo_second_chance(self) -> None:
        """S3-FIFO keeps what was asked for again while it was on probation."""
        policy = self.fill(S3FIFO(100), 0)
        self.assertEqual(policy.admit(10, 10), [1])
        self.assertIn(0, policy)

    def test_s3fifo_ghost(self) -> None:
        """S3-FIFO lets in for good what comes back soon after it was turned away."""
        policy: S3FIFO[int] = S3FIFO(100)
        for key in range(11):
            policy.admit(key, 10)
        self.assertNotIn(0, policy)
        policy.admit(0, 10)
        for key in range(100, 108):
            policy.admit(key, 10)
        self.assertIn(0, policy)

    def test_restored_outlive_new(self) -> None:
        """What an earlier life had kept is not flushed by the first scan after."""
        policy: S3FIFO[int] = S3FIFO(1000)
        for key in range(80):
            policy.restore(key, 10)
        for key in range(1000, 2000):
            policy.admit(key, 10)
        self.assertGreaterEqual(sum(key in policy for key in range(80)), 80)

    def test_ghosts_are_bounded(self) -> None:
        """Names of what was turned away take no more than their share."""
        policy: S3FIFO[int] = S3FIFO(1000)
        for key in range(10_000):
            policy.admit(key, 10)
        self.assertLessEqual(len(policy._ghost), 90)


class ScanTests(SynchronousTestCase):
    def survivors(self, policy: Eviction[int], ranges: int) -> int:
        """How many of 300 pages in use are left after a scan of 3,000 others."""
        for _ in range(4):
            for key in range(300):
                if key in policy:
                    policy.touch(key)
                else:
                    policy.admit(key, 1)
        for key in range(10_000, 13_000):
            policy.admit(key, 1)
            for _ in range(ranges - 1):
                policy.touch(key)
        return sum(key in policy for key in range(300))

    def test_scan(self) -> None:
        """A scan takes from S3-FIFO a tenth at most, and from LRU everything."""
        self.assertEqual(self.survivors(LRU(400), 1), 0)
        self.assertGreaterEqual(self.survivors(S3FIFO(400), 1), 270)

    def test_scan_in_ranges(self) -> None:
        """Nor does a scan that takes each page in sixteen ranges take more."""
        self.assertGreaterEqual(self.survivors(S3FIFO(400), 16), 270)
        plain: S3FIFO[int] = S3FIFO(400, grace=-1.0)
        self.assertLess(self.survivors(plain, 16), 270)

    def test_replay(self) -> None:
        """With scans in the traffic S3-FIFO loses less than LRU does."""
        calm = trace(20_000, 3_000)
        busy = trace(20_000, 3_000, scans=0.4, scan_length=500)
        capacity = 300 << 20
        self.assertGreater(
            replay(busy, S3FIFO(capacity)).hits, replay(busy, LRU(capacity)).hits + 0.05
        )
        best = belady(busy, capacity).hits
        for kind in POLICIES:
            self.assertLess(replay(busy, kind(capacity)).hits, best)
        self.assertGreater(
            replay(calm, S3FIFO(capacity)).hits, replay(calm, LRU(capacity)).hits
        )


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        """Our names and Alluxio's class names are understood."""
        for name, kind in (
            ("S3FIFO", S3FIFO),
            ("s3-fifo", S3FIFO),
            ("LRU", LRU),
            ("lfu", LFU),
            ("alluxio.client.file.cache.evictor.LRUCacheEvictor", LRU),
            ("alluxio.client.file.cache.evictor.LFUCacheEvictor", LFU),
            ("alluxio.client.file.cache.evictor.FIFOCacheEvictor", FIFO),
        ):
            made: Eviction[int] = make_eviction(name, 100)
            self.assertIs(type(made), kind)

    def test_unknown(self) -> None:
        """Any other is refused, with the names that are known."""
        with self.assertRaises(WrongConfiguration) as caught:
            make_eviction("CLOCK", 100)
        self.assertIn("S3FIFO, LRU, LFU, FIFO", str(caught.exception))
