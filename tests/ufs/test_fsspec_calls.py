"""
Calls in threads: so many at a time, and nobody waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import StorageBusy, StorageUnavailable
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.fsspec_calls import Calls


@implementer(IThreads)
@attrs.define
class HandThreads:
    """Threads that end when the test says so."""

    works: list[tuple[Callable[[], Any], Deferred[Any]]] = attrs.field(factory=list)

    def run(self, work: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
        result: Deferred[Any] = Deferred()
        self.works.append((work, result))
        return result

    def end(self) -> None:
        """The first of them ends."""
        work, result = self.works.pop(0)
        try:
            result.callback(work())
        except Exception:
            result.errback()


class CallsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.threads = Clock(), HandThreads()
        self.calls = Calls(self.threads, self.clock, 2, 10.0)

    def test_so_many(self) -> None:
        """No more run than may; the others follow in the order they came."""
        results = [self.calls.run(lambda n=n: n) for n in range(5)]  # type: ignore[misc]
        self.assertEqual((self.calls.running, self.calls.waiting), (2, 3))
        for n, result in enumerate(results):
            self.assertEqual(len(self.threads.works), min(2, 5 - n))
            self.threads.end()
            self.assertEqual(self.successResultOf(result), n)
        self.assertEqual((self.calls.running, self.calls.waiting), (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self) -> None:
        """What fails is told, and leaves its place to others."""
        result = self.calls.run(lambda: 1 // 0)
        self.threads.end()
        self.failureResultOf(result, ZeroDivisionError)
        self.assertEqual(self.calls.running, 0)

    def test_hanging(self) -> None:
        """Who waits too long is told, and a thread that hangs keeps its place."""
        results = [self.calls.run(lambda: None) for _ in range(3)]
        self.clock.advance(10)
        self.failureResultOf(results[0], StorageUnavailable)
        self.failureResultOf(results[1], StorageUnavailable)
        self.failureResultOf(results[2], StorageBusy)
        self.assertEqual((self.calls.running, self.calls.waiting), (2, 0))
        waiting = self.calls.run(lambda: "later")
        self.assertNoResult(waiting)
        self.threads.end()
        self.threads.end()
        self.threads.end()
        self.assertEqual(self.successResultOf(waiting), "later")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Who goes away leaves the queue; what runs is left to itself."""
        ran: list[int] = []
        running = [self.calls.run(ran.append, n) for n in range(2)]
        queued = self.calls.run(ran.append, 2)
        queued.cancel()
        self.failureResultOf(queued, CancelledError)
        running[0].cancel()
        self.failureResultOf(running[0], CancelledError)
        self.assertEqual((self.calls.running, self.calls.waiting), (2, 0))
        self.threads.end()
        self.threads.end()
        self.assertEqual(ran, [0, 1])
        self.successResultOf(running[1])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_long(self) -> None:
        """What may take long is given ten times as long."""
        result = self.calls.run_long(lambda: "done")
        self.clock.advance(99)
        self.assertNoResult(result)
        self.threads.end()
        self.assertEqual(self.successResultOf(result), "done")
