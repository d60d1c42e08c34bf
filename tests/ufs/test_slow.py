"""
The slow wrapper takes the time it should, and otherwise keeps the contract.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.iobjects import NO_DEMAND
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract, get, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.registry import Registry
from tests.doubles_threads import HeldThreads


class SlowContractTests(UnderFileSystemContract, TestCase):
    sets_modified = 1
    large = 300_000
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        around = Surroundings(IReactorTime(reactor), NoThreads())
        uri = "slow+memory:///?latency=0.05ms&bandwidth=4GB&capacity=1GB"
        return Registry.installed().make(uri, {}, around)


class SlowTests(SynchronousTestCase):
    def make(self, uri: str, **options: str) -> IUnderFileSystem:
        self.clock = Clock()
        around = Surroundings(self.clock, NoThreads())
        return Registry.installed().make(uri, options, around)

    def elapsed(self, work: Deferred[Any], step: float = 0.001) -> float:
        """How long it takes by the clock."""
        began = self.clock.seconds()
        done: list[object] = []
        work.addCallback(done.append)
        while not done:
            self.clock.advance(step)
            self.assertLess(self.clock.seconds() - began, 60)
        return self.clock.seconds() - began

    def test_latency(self) -> None:
        """Every call takes its latency, at least and not much more."""
        ufs = self.make("slow+memory:///?latency=50ms")
        self.assertAlmostEqual(self.elapsed(ufs.delete("x", NO_DEMAND)), 0.05, 2)
        # A listing, too.
        self.assertAlmostEqual(self.elapsed(ufs.list(ListQuery())), 0.05, 2)
        self.assertAlmostEqual(self.elapsed(ufs.check()), 0.05, 2)

    def test_not_near(self) -> None:
        """It is far away, so it is worth caching, and nothing is had at once."""
        ufs = self.make("slow+memory:///")
        self.assertFalse(ufs.capabilities.near)
        self.assertTrue(ufs.capabilities.attributes)
        self.successResultOf(put(ufs, "key", b"data"))
        self.assertIsNone(ufs.glance("key"))
        reading = self.successResultOf(ufs.open("key"))
        self.assertIsNone(reading.at_once(Span(0, 4)))

    def test_bandwidth(self) -> None:
        """All bodies together take no more than the bandwidth."""
        ufs = self.make("slow+memory:///", bandwidth="1MB")
        self.elapsed(Deferred.fromCoroutine(put(ufs, "key", b"x" * (1 << 20))))
        began = self.clock.seconds()
        both = [Deferred.fromCoroutine(get(ufs, "key")) for _ in range(2)]
        for body in both:
            self.elapsed(body, 0.01)
        self.assertAlmostEqual(self.clock.seconds() - began, 2.0, 1)

    def test_per_connection(self) -> None:
        """Each body takes no more than its own share."""
        ufs = self.make("slow+memory:///", per_connection="1MB")
        self.elapsed(Deferred.fromCoroutine(put(ufs, "key", b"x" * (1 << 20))))
        began = self.clock.seconds()
        both = [Deferred.fromCoroutine(get(ufs, "key")) for _ in range(2)]
        for body in both:
            self.elapsed(body, 0.01)
        self.assertAlmostEqual(self.clock.seconds() - began, 1.0, 1)

    def test_streams(self) -> None:
        """Bytes come in pieces as time goes by, soon after the latency."""
        root = os.path.abspath(self.mktemp())
        os.mkdir(root)
        with open(os.path.join(root, "key"), "wb") as file:
            file.write(b"x" * 1_000_000)
        ufs = self.make(f"slow+file://{root}", latency="100ms", bandwidth="1MB")
        opening = ufs.open("key")
        self.clock.advance(0.1)
        pieces = self.successResultOf(opening).body(Span(0, 1_000_000))
        first = pieces.read()
        self.clock.advance(0.09)
        self.assertNoResult(first)
        self.clock.advance(0.02)
        sizes: list[int] = []
        for _ in range(100):
            piece = self.successResultOf(first)
            assert isinstance(piece, bytes)
            sizes.append(len(piece))
            first = pieces.read()
            self.clock.advance(0.005)
        self.assertLess(max(sizes), 10_000)
        self.assertLess(abs(sum(sizes) - 520_000), 30_000)
        pieces.close()

    def test_closed_while_read(self) -> None:
        """A body that is closed while a thread reads lets go when that is done."""
        root = os.path.abspath(self.mktemp())
        os.mkdir(root)
        with open(os.path.join(root, "key"), "wb") as file:
            file.write(b"x" * 1000)
        clock, threads = Clock(), HeldThreads()
        ufs = Registry.installed().make(
            f"slow+file://{root}", {"open_files": "1"}, Surroundings(clock, threads)
        )
        opening = ufs.open("key")
        threads.release()
        body = self.successResultOf(opening).body(Span(0, 1000))
        piece = body.read()
        self.assertEqual(len(threads), 1)
        body.close()
        piece.cancel()
        self.failureResultOf(piece, CancelledError)
        threads.release()
        self.assertEqual(len(threads), 0)
