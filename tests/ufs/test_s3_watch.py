"""
What is given up, and what becomes of it.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.ufs.s3_watch import Unreached, Watch


class WatchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def request(self, error: Exception) -> Deferred[Any]:
        """One that fails so when it is given up."""
        return Deferred(lambda request: request.errback(error))

    def test_late(self) -> None:
        """Nothing moved, whatever it was that did not: the storage is not there."""
        for error in (
            CancelledError(),
            ConnectingCancelledError(IPv4Address("TCP", "127.0.0.1", 1)),
        ):
            watch = Watch(self.clock, 1.0)
            waiting = Deferred.fromCoroutine(watch.over(self.request(error)))
            self.clock.advance(0.9)
            watch.moved()
            self.clock.advance(0.9)
            self.assertNoResult(waiting)
            self.clock.advance(0.1)
            self.failureResultOf(waiting, Unreached)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_forsaken(self) -> None:
        """Who lost interest hears of that only."""
        error = ConnectingCancelledError(IPv4Address("TCP", "127.0.0.1", 1))
        watch = Watch(self.clock, 1.0)
        waiting = Deferred.fromCoroutine(watch.over(self.request(error)))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
