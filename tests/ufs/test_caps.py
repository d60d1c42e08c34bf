"""
No more is taken of a storage than its mount allows, and all get a fair share.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from alluxio_tw.asking import in_name_of
from alluxio_tw.errors import StorageBusy, StorageUnavailable, WrongConfiguration
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract, get, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs import caps as caps_module
from alluxio_tw.ufs.capped import CappedUFS
from alluxio_tw.ufs.caps import Caps, Flow, Limits, Places
from alluxio_tw.ufs.memory import make
from tests.doubles import FaultyUFS


def memory(clock: Clock) -> IUnderFileSystem:
    return make("memory:///", {}, Surroundings(clock, NoThreads()))


class CappedContractTests(UnderFileSystemContract, TestCase):
    """Every promise holds within caps."""

    sets_modified = 1
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        clock = Clock()
        clock.advance(1_700_000_000)
        return CappedUFS(memory(clock), Caps.of(Limits(64, 0), clock))


class LimitsTests(SynchronousTestCase):
    def test_read(self) -> None:
        """Options are numbers of requests, and bytes a second."""
        self.assertEqual(Limits.of({}), Limits())
        self.assertFalse(Limits.of({"cache": "true"}))
        self.assertEqual(
            Limits.of({"origin-concurrency": "64", "origin-bandwidth": "100MB"}),
            Limits(64, 100 << 20),
        )

    def test_wrong(self) -> None:
        """What cannot be is refused with what to write."""
        for name, text in (
            ("origin-concurrency", "0"),
            ("origin-concurrency", "-1"),
            ("origin-concurrency", "many"),
            ("origin-concurrency", "10000000"),
            ("origin-bandwidth", "0"),
            ("origin-bandwidth", "fast"),
        ):
            error = self.assertRaises(WrongConfiguration, Limits.of, {name: text})
            self.assertIn(name, error.message)


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def take(self, places: Places, whose: str) -> Deferred[Any]:
        return Deferred.fromCoroutine(places.take(whose))

    def test_bound(self) -> None:
        """The next one comes when one has left."""
        places = Places(2, self.clock)
        first, second, third = (self.take(places, "a") for _ in range(3))
        self.assertNoResult(third)
        self.assertEqual((places.taken, places.waiting), (2, 1))
        place = self.successResultOf(first)
        place.leave()
        place.leave()
        self.successResultOf(third).leave()
        self.successResultOf(second).leave()
        self.assertEqual((places.taken, places.waiting), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fair(self) -> None:
        """One who asks for much does not keep another waiting for all of it."""
        places = Places(1, self.clock)
        held = self.successResultOf(self.take(places, "greedy"))
        greedy = [self.take(places, "greedy") for _ in range(100)]
        modest = self.take(places, "modest")
        held.leave()
        order = 0
        while not modest.called:
            self.successResultOf(greedy[order]).leave()
            order += 1
        self.assertLessEqual(order, 2)
        for waiting in (*greedy[order:], modest):
            waiting.addErrback(lambda _: None).cancel()

    def test_late(self) -> None:
        """Who waited for too long is told to slow down, and takes no place."""
        places = Places(1, self.clock)
        held = self.successResultOf(self.take(places, "a"))
        waiting = self.take(places, "a")
        self.clock.advance(caps_module.SECONDS)
        self.failureResultOf(waiting, StorageBusy)
        self.assertEqual(places.refused, 1)
        held.leave()
        self.assertEqual(places.taken, 0)

    def test_full(self) -> None:
        """There is an end to those who wait."""
        self.patch(caps_module, "WAITING", 3)
        places = Places(1, self.clock)
        held = self.successResultOf(self.take(places, "a"))
        waiting = [self.take(places, str(n)) for n in range(3)]
        self.failureResultOf(self.take(places, "b"), StorageBusy)
        waiting[1].cancel()
        self.failureResultOf(waiting[1], CancelledError)
        again = self.take(places, "b")
        held.leave()
        for each in (waiting[0], waiting[2], again):
            self.successResultOf(each).leave()
        self.assertEqual((places.taken, places.waiting), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_spare(self) -> None:
        """A spare place is one that nobody waits for."""
        places = Places(2, self.clock)
        one = places.spare()
        two = places.spare()
        assert one is not None and two is not None
        self.assertIsNone(places.spare())
        waiting = self.take(places, "a")
        one.leave()
        self.assertIsNone(places.spare())
        self.successResultOf(waiting).leave()
        two.leave()
        self.assertEqual(places.taken, 0)
        unlimited = Places(0, self.clock)
        self.assertIsNotNone(unlimited.spare())


class FlowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def run_for(self, seconds: float, step: float = 0.002) -> None:
        for _ in range(round(seconds / step)):
            self.clock.advance(step)

    def test_rate(self) -> None:
        """What passes in a second is the rate, and no more than a burst besides."""
        flow = Flow(1_000_000, self.clock)
        passed: Counter[str] = Counter()
        stopped = False

        def go(whose: str, size: int) -> None:
            def again(_: object) -> None:
                passed[whose] += size
                if not stopped:
                    go(whose, size)

            flow.passing(whose, size).addCallback(again)

        go("large", 50_000)
        go("small", 500)
        self.run_for(10)
        total = passed.total()
        self.assertLess(abs(total - 10_000_000), 200_000)
        # One at a time each, so the small one cannot use all of its share; but
        # it is not starved by the large pieces.
        self.assertGreater(passed["small"], 0)
        stopped = True
        flow.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_shares(self) -> None:
        """Three bodies of one user get as much as one of another."""
        flow = Flow(1_000_000, self.clock)
        passed: Counter[str] = Counter()
        stopped = False

        def go(whose: str) -> None:
            def again(_: object) -> None:
                passed[whose] += 10_000
                if not stopped:
                    go(whose)

            flow.passing(whose, 10_000).addCallback(again)

        for whose in ("many", "many", "many", "one", "one", "one", "one"):
            for _ in range(20):
                go(whose)
        self.run_for(10)
        self.assertLess(abs(passed["many"] - passed["one"]), 600_000)
        self.assertGreater(passed["one"], 4_000_000)
        stopped = True
        flow.close()

    def test_cancel(self) -> None:
        """What is called off takes nothing from the others."""
        flow = Flow(1000, self.clock)
        self.successResultOf(flow.passing("a", 1000))
        gone = flow.passing("a", 1_000_000)
        next = flow.passing("a", 10)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.run_for(1.1)
        self.successResultOf(next)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_limit(self) -> None:
        """Without a rate nothing waits, and all is counted."""
        flow = Flow(0, self.clock)
        self.successResultOf(flow.passing("a", 1 << 40))
        self.assertEqual(flow.passed, 1 << 40)


class CappedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.faulty = FaultyUFS(memory(self.clock))

    def capped(self, concurrency: int = 0, bandwidth: int = 0) -> CappedUFS:
        self.caps = Caps.of(Limits(concurrency, bandwidth), self.clock)
        return CappedUFS(self.faulty, self.caps)

    def assert_idle(self) -> None:
        self.assertEqual((self.caps.reads.taken, self.caps.writes.taken), (0, 0))
        self.assertEqual((self.caps.reads.waiting, self.caps.writes.waiting), (0, 0))

    def test_calls(self) -> None:
        """Never more calls at once than there are places."""
        ufs = self.capped(concurrency=3)
        gate = self.faulty.hold("list")
        calls = [ufs.list(ListQuery()) for _ in range(10)]
        self.assertEqual(len(gate), 3)
        calls[0].cancel()
        self.failureResultOf(calls[0], CancelledError)
        calls[9].cancel()
        self.failureResultOf(calls[9], CancelledError)
        self.assertEqual(len(gate), 3)
        gate.open()
        self.successResultOf(gatherResults(calls[1:9]))
        self.assert_idle()

    def test_failures(self) -> None:
        """A call that fails leaves its place."""
        ufs = self.capped(concurrency=1)
        self.successResultOf(put(ufs, "key", b"data"))
        status = self.successResultOf(ufs.status("key"))
        for method in ("status", "open", "read", "place", "list", "delete", "body"):
            self.faulty.fail(method, times=1)
        self.failureResultOf(ufs.status("key"), StorageUnavailable)
        self.failureResultOf(ufs.open("key"), StorageUnavailable)
        self.failureResultOf(ufs.read("key", status, Span(0, 4)), StorageUnavailable)
        self.failureResultOf(ufs.place("key", 4), StorageUnavailable)
        self.failureResultOf(ufs.list(ListQuery()), StorageUnavailable)
        self.failureResultOf(ufs.delete("key", NO_DEMAND), StorageUnavailable)
        body = self.successResultOf(ufs.read("key", status, Span(0, 4)))
        self.failureResultOf(body.read(), StorageUnavailable)
        body.close()
        self.assert_idle()

    def test_bodies(self) -> None:
        """A body holds its place until its end or its close, whichever is first."""
        ufs = self.capped(concurrency=1)
        self.successResultOf(put(ufs, "key", b"data"))
        status = self.successResultOf(ufs.status("key"))
        body = self.successResultOf(ufs.read("key", status, Span(0, 4)))
        waiting = ufs.read("key", status, Span(0, 4))
        self.successResultOf(body.read())
        self.assertNoResult(waiting)
        self.assertIsNone(self.successResultOf(body.read()))
        other = self.successResultOf(waiting)
        body.close()
        self.assertEqual(self.caps.reads.taken, 1)
        other.close()
        self.assert_idle()

    def test_readings(self) -> None:
        """Of a reading it is the body that holds a place, from its first read on."""
        ufs = self.capped(concurrency=1)
        self.successResultOf(put(ufs, "key", b"data"))
        self.assertIsNone(ufs.glance("key"))
        readings = [self.successResultOf(ufs.open("key")) for _ in range(3)]
        one, two, three = (reading.body(Span(0, 4)) for reading in readings)
        self.assertEqual(self.caps.reads.taken, 0)
        self.successResultOf(one.read())
        waiting, abandoned = two.read(), three.read()
        self.assertNoResult(waiting)
        three.close()
        one.close()
        self.successResultOf(waiting)
        two.close()
        self.assertIsNone(self.successResultOf(abandoned))
        for reading in readings:
            reading.close()
        self.assert_idle()

    def test_placings(self) -> None:
        """A write holds a place until its commit or abort, however it ends."""
        ufs = self.capped(concurrency=1)
        placing = self.successResultOf(ufs.place("one", None))
        waiting = ufs.place("two", None)
        # Reading is not kept waiting by writing: a copy does both.
        self.failureResultOf(ufs.status("none"))
        self.assertNoResult(waiting)
        self.faulty.fail("commit", times=1)
        committing = placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
        self.failureResultOf(committing, StorageUnavailable)
        second = self.successResultOf(waiting)
        self.successResultOf(placing.abort())
        self.assertEqual(self.caps.writes.taken, 1)
        self.successResultOf(second.abort())
        self.assert_idle()

    def test_bandwidth(self) -> None:
        """Bytes in both directions pass at the rate."""
        ufs = self.capped(bandwidth=100_000)
        began = self.clock.seconds()
        done = Deferred.fromCoroutine(put(ufs, "key", b"x" * 100_000))
        reading = None
        while not done.called or reading is None or not reading.called:
            if done.called and reading is None:
                reading = Deferred.fromCoroutine(get(ufs, "key"))
            self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(reading), b"x" * 100_000)
        took = self.clock.seconds() - began
        self.assertGreater(took, 0.8)
        self.assertLess(took, 3.0)
        self.assertEqual(self.caps.flow.passed, 200_000)

    def test_names(self) -> None:
        """It is in whose name a call was begun that counts."""
        ufs = self.capped(concurrency=1)
        gate = self.faulty.hold("list")
        with in_name_of("greedy"):
            greedy = [ufs.list(ListQuery()) for _ in range(50)]
        with in_name_of("modest"):
            modest = ufs.list(ListQuery())
        gate.open()
        self.assertEqual(self.successResultOf(modest), self.successResultOf(greedy[0]))
        self.successResultOf(gatherResults(greedy))
        self.assert_idle()

    def test_health(self) -> None:
        """A storage that is busy is not broken: its health is asked at once."""
        ufs = self.capped(concurrency=1)
        self.faulty.hold("list")
        busy = ufs.list(ListQuery())
        self.successResultOf(ufs.check())
        self.successResultOf(ufs.sweep(1.0))
        busy.addErrback(lambda _: None).cancel()

    def test_numbers(self) -> None:
        """It tells how much is taken."""
        ufs = self.capped(concurrency=1)
        self.faulty.hold("list")
        calls = [ufs.list(ListQuery()) for _ in range(3)]
        numbers = ufs.numbers()
        self.assertEqual((numbers["in_use"], numbers["waiting"]), (1, 2))
        for call in calls:
            call.addErrback(lambda _: None).cancel()
