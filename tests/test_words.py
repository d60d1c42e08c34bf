"""
Tests of the small words of floor 0: spans, single flight, deferreds, threads.
"""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from alluxio_tw.deferreds import deferred
from alluxio_tw.singleflight import SingleFlight
from alluxio_tw.spans import Span, page_length
from alluxio_tw.threads import IThreads, NoThreads, PooledThreads

spans = st.builds(Span, st.integers(0, 300), st.integers(0, 300))
page_sizes = st.integers(1, 64)


class SpanTests(SynchronousTestCase):
    @given(spans, page_sizes)
    def test_cut(self, span: Span, page_size: int) -> None:
        """Cut into pages and joined again, it is every byte of it, in order."""
        joined: list[int] = []
        for index, within in span.cut(page_size):
            self.assertGreater(within.length, 0)
            self.assertLessEqual(within.end, page_size)
            start = index * page_size
            joined += range(start + within.offset, start + within.end)
        self.assertEqual(joined, list(range(span.offset, span.end)))

    @given(spans, page_sizes)
    def test_pages(self, span: Span, page_size: int) -> None:
        """It touches the pages that its bytes are in."""
        touched = {byte // page_size for byte in range(span.offset, span.end)}
        self.assertEqual(set(span.pages(page_size)), touched)

    @given(spans, page_sizes, st.integers(0, 20))
    def test_within_page(self, span: Span, page_size: int, index: int) -> None:
        """What of a page is wanted is what the page and it have in common."""
        within = span.within_page(index, page_size)
        start = index * page_size
        common = set(range(span.offset, span.end)) & set(
            range(start, start + page_size)
        )
        self.assertEqual(set(range(start + within.offset, start + within.end)), common)

    @given(st.integers(0, 1000), page_sizes)
    def test_page_length(self, size: int, page_size: int) -> None:
        """The pages of an object hold all of it, and only the last is short."""
        count = -(-size // page_size)
        lengths = [page_length(index, page_size, size) for index in range(count)]
        self.assertEqual(sum(lengths), size)
        self.assertTrue(all(length == page_size for length in lengths[:-1]))
        self.assertEqual(page_length(count, page_size, size), 0)


class SingleFlightTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.flights: SingleFlight[str, int] = SingleFlight()
        self.loads: list[Deferred[int]] = []
        self.cancelled = 0

    def load(self) -> Deferred[int]:
        def cancel(load: Deferred[int]) -> None:
            self.cancelled += 1

        self.loads.append(Deferred(cancel))
        return self.loads[-1]

    def test_shared(self) -> None:
        """Many who ask at once share one load."""
        waiters = [self.flights.do("a", self.load) for _ in range(5)]
        self.assertEqual(len(self.loads), 1)
        self.loads[0].callback(7)
        for waiter in waiters:
            self.assertEqual(self.successResultOf(waiter), 7)
        self.assertEqual(len(self.flights), 0)

    def test_keys_apart(self) -> None:
        """Each key has a load of its own."""
        self.flights.do("a", self.load)
        self.flights.do("b", self.load)
        self.assertEqual(len(self.loads), 2)

    def test_failure_shared(self) -> None:
        """A failed load fails for all, and the next who asks loads anew."""
        waiters = [self.flights.do("a", self.load) for _ in range(3)]
        self.loads[0].errback(ZeroDivisionError())
        for waiter in waiters:
            self.failureResultOf(waiter, ZeroDivisionError)
        self.flights.do("a", self.load)
        self.assertEqual(len(self.loads), 2)

    def test_raising(self) -> None:
        """A load that raises instead of failing leaves the key free."""

        def raises() -> Deferred[int]:
            raise ZeroDivisionError

        self.failureResultOf(self.flights.do("a", raises), ZeroDivisionError)
        self.assertEqual(len(self.flights), 0)

    def test_at_once(self) -> None:
        """A load that has its result at once gives it at once."""
        self.assertEqual(
            self.successResultOf(self.flights.do("a", lambda: succeed(3))), 3
        )
        self.failureResultOf(self.flights.do("a", lambda: fail(KeyError())), KeyError)
        self.assertEqual(len(self.flights), 0)

    def test_ask_again(self) -> None:
        """Who asks again on being told starts a new load."""
        again: list[Deferred[int]] = []

        def ask(result: int) -> None:
            again.append(self.flights.do("a", self.load))

        self.flights.do("a", self.load).addCallback(ask)
        late = self.flights.do("a", self.load)
        self.loads[0].callback(1)
        self.assertEqual(self.successResultOf(late), 1)
        self.assertEqual(len(self.loads), 2)
        self.assertNoResult(again[0])
        self.loads[1].callback(2)
        self.assertEqual(self.successResultOf(again[0]), 2)

    def test_one_leaves(self) -> None:
        """One that gives up leaves the load and the others undisturbed."""
        leaving, staying = (self.flights.do("a", self.load) for _ in range(2))
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertEqual(self.cancelled, 0)
        self.loads[0].callback(1)
        self.assertEqual(self.successResultOf(staying), 1)

    def test_last_leaves(self) -> None:
        """When the last has given up the load is cancelled, and the key free."""
        waiters = [self.flights.do("a", self.load) for _ in range(3)]
        for waiter in waiters:
            waiter.cancel()
            self.failureResultOf(waiter, CancelledError)
        self.assertEqual(self.cancelled, 1)
        self.assertEqual(len(self.flights), 0)
        self.assertNoResult(self.flights.do("a", self.load))
        self.assertEqual(len(self.loads), 2)

    def test_leaves_twice(self) -> None:
        """One that gives up twice is one that gave up."""
        leaving, staying = (self.flights.do("a", self.load) for _ in range(2))
        for _ in range(2):
            leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertEqual(self.cancelled, 0)
        self.loads[0].callback(1)
        self.successResultOf(staying)

    def test_told_makes_another_leave(self) -> None:
        """One that makes another give up on being told keeps nobody else waiting."""
        first, second, third = (self.flights.do("a", self.load) for _ in range(3))
        first.addCallback(lambda result: second.cancel())
        self.loads[0].callback(1)
        self.failureResultOf(second, CancelledError)
        self.assertEqual(self.successResultOf(third), 1)

    def test_slow_to_cancel(self) -> None:
        """Who asks while a cancelled load cleans up starts a new one."""
        cleaned: Deferred[None] = Deferred()

        @deferred
        async def slow() -> int:
            try:
                return await Deferred()
            finally:
                await cleaned

        first = self.flights.do("a", slow)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        second = self.flights.do("a", self.load)
        self.assertEqual(len(self.loads), 1)
        cleaned.callback(None)
        self.assertNoResult(second)
        self.loads[0].callback(5)
        self.assertEqual(self.successResultOf(second), 5)
        self.assertEqual(len(self.flights), 0)


class DeferredTests(SynchronousTestCase):
    def test_result(self) -> None:
        """A coroutine's result is the Deferred's."""

        @deferred
        async def double(number: Deferred[int]) -> int:
            """Doubles."""
            return 2 * await number

        number: Deferred[int] = Deferred()
        result = double(number)
        self.assertNoResult(result)
        number.callback(4)
        self.assertEqual(self.successResultOf(result), 8)
        self.assertEqual(double.__doc__, "Doubles.")

    def test_failure(self) -> None:
        """What a coroutine raises, also before it waits, is the Deferred's failure."""

        @deferred
        async def raises() -> None:
            raise ZeroDivisionError

        self.failureResultOf(raises(), ZeroDivisionError)

    def test_cancelled(self) -> None:
        """Cancelling reaches what the coroutine waits for, and its clean-up runs."""
        cleaned: list[str] = []
        waited: Deferred[None] = Deferred()

        @deferred
        async def waits() -> None:
            try:
                await waited
            finally:
                cleaned.append("up")

        result = waits()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.assertEqual(cleaned, ["up"])


def _divide(one: int, by: int) -> float:
    return one / by


class NoThreadsTests(SynchronousTestCase):
    def test_at_once(self) -> None:
        """Work is done at once, in the caller."""
        threads = NoThreads()
        verifyObject(IThreads, threads)
        self.assertIs(
            self.successResultOf(threads.run(threading.current_thread)),
            threading.current_thread(),
        )
        self.assertEqual(self.successResultOf(threads.run(_divide, 1, by=2)), 0.5)

    def test_failure(self) -> None:
        """What the work raises is the Deferred's failure."""
        self.failureResultOf(NoThreads().run(_divide, 1, 0), ZeroDivisionError)


class PooledThreadsTests(TestCase):
    def setUp(self) -> None:
        self.pool = ThreadPool(0, 1)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.threads = PooledThreads(IReactorFromThreads(reactor), self.pool)

    async def test_elsewhere(self) -> None:
        """Work is done in another thread, and told in the caller's."""
        verifyObject(IThreads, self.threads)
        here = threading.current_thread()
        told: list[threading.Thread] = []

        def tell(there: threading.Thread) -> threading.Thread:
            told.append(threading.current_thread())
            return there

        done = self.threads.run(threading.current_thread).addCallback(tell)
        self.assertIsNot(await done, here)
        self.assertEqual(told, [here])

    async def test_failure(self) -> None:
        """What the work raises is the Deferred's failure."""
        try:
            await self.threads.run(_divide, 1, by=0)
        except ZeroDivisionError:
            return
        self.fail("nothing was raised")

    async def test_bounded(self) -> None:
        """What finds no thread free waits its turn."""
        go = threading.Event()
        order: list[str] = []

        def first() -> None:
            go.wait(10)
            order.append("first")

        waiting = self.threads.run(first)
        second = self.threads.run(order.append, "second")
        go.set()
        await second
        await waiting
        self.assertEqual(order, ["first", "second"])

    async def test_cancelled(self) -> None:
        """The result of work that was given up is dropped, and nothing is logged."""
        go = threading.Event()
        given_up = self.threads.run(go.wait, 10)
        given_up.cancel()
        try:
            await given_up
        except CancelledError:
            go.set()
        self.assertEqual(await self.threads.run(_divide, 1, by=1), 1)
