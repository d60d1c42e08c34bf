"""
Late reads are asked for twice, some of them, and nothing else is.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from alluxio_tw.errors import ObjectChanged, StorageUnavailable, WrongConfiguration
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import Status
from alluxio_tw.iufs import IUnderFileSystem, Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import UnderFileSystemContract, put
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs import hedged
from alluxio_tw.ufs.caps import Place, Places
from alluxio_tw.ufs.hedged import HedgedUFS, Patience, hedged_after
from alluxio_tw.ufs.memory import make
from alluxio_tw.ufs.passing import PassingUFS


class LateUFS(PassingUFS):
    """
    Each read, or the first piece of its body, waits for the test.

    :ivar asked: a Deferred of each read, in order.
    """

    def __init__(self, ufs: IUnderFileSystem) -> None:
        super().__init__(ufs)
        self.asked: list[Deferred[None]] = []
        self.closed = 0
        self.in_body = False

    def read(self, path: str, status: Status, span: Span) -> Deferred[IBody]:
        gate: Deferred[None] = Deferred()
        self.asked.append(gate)

        async def run() -> IBody:
            if not self.in_body:
                await gate
            body = await self.ufs.read(path, status, span)
            return _LateBody(self, body, gate if self.in_body else None)

        return Deferred.fromCoroutine(run())


@implementer(IBody)
class _LateBody:
    def __init__(self, ufs: LateUFS, body: IBody, gate: Deferred[None] | None) -> None:
        self._ufs, self._body, self._gate = ufs, body, gate
        self.length = body.length

    def read(self) -> Deferred[Any]:
        async def run() -> Any:
            if self._gate is not None:
                await self._gate
            return await self._body.read()

        return Deferred.fromCoroutine(run())

    def close(self) -> None:
        self._ufs.closed += 1
        self._body.close()


class HedgedContractTests(UnderFileSystemContract, TestCase):
    sets_modified = 1
    memory = None

    def make_ufs(self) -> IUnderFileSystem:
        clock = IReactorTime(reactor)
        ufs = make("memory:///", {}, Surroundings(clock, NoThreads()))
        places = Places(0, clock)
        return HedgedUFS(ufs, Patience(seconds=0.05), clock, places.spare)


class PatienceTests(SynchronousTestCase):
    def test_read(self) -> None:
        """It is a time, or a percentile."""
        self.assertIsNone(Patience.of({}))
        self.assertEqual(Patience.of({"hedge-after": "50ms"}), Patience(seconds=0.05))
        self.assertEqual(Patience.of({"hedge-after": "P95"}), Patience(percentile=95))

    def test_wrong(self) -> None:
        """Anything else is refused."""
        for text in ("p100", "p5", "p", "soon", "0", "-5ms", "0.1ms"):
            error = self.assertRaises(
                WrongConfiguration, Patience.of, {"hedge-after": text}
            )
            self.assertIn("hedge-after", error.message)


class HedgedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        ufs = make("memory:///", {}, Surroundings(self.clock, NoThreads()))
        self.successResultOf(put(ufs, "key", b"data"))
        self.late = LateUFS(ufs)
        self.places = Places(0, self.clock)
        self.status = self.successResultOf(ufs.status("key"))

    def hedged(self, patience: Patience | None = None) -> HedgedUFS:
        return HedgedUFS(
            self.late,
            patience or Patience(seconds=0.05),
            self.clock,
            self.places.spare,
        )

    def read(self, ufs: HedgedUFS) -> Deferred[IBody]:
        return ufs.read("key", self.status, Span(0, 4))

    def assert_data(self, body: IBody) -> None:
        data = self.successResultOf(body.read())
        assert isinstance(data, (bytes, memoryview))
        self.assertEqual(bytes(data), b"data")
        self.assertIsNone(self.successResultOf(body.read()))
        body.close()

    def assert_over(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.places.taken, 0)

    def test_past_the_cache(self) -> None:
        """What is read of an opened version, past the cache, is asked for twice too."""
        ufs = self.hedged()
        opened = self.successResultOf(ufs.open("key"))
        body = opened.body(Span(0, 4))
        self.assertEqual(self.late.asked, [])
        reading = body.read()
        self.clock.advance(0.06)
        self.assertEqual(len(self.late.asked), 2)
        self.late.asked[1].callback(None)
        self.assertEqual(bytes(cast("bytes", self.successResultOf(reading))), b"data")
        self.assertIsNone(self.successResultOf(body.read()))
        body.close()
        given_up = opened.body(Span(0, 4))
        reading = given_up.read()
        given_up.close()
        self.failureResultOf(reading, CancelledError)
        self.assertIsNone(self.successResultOf(given_up.read()))
        self.assertEqual(self.successResultOf(opened.body(Span(4, 0)).read()), None)
        opened.close()
        self.assert_over()

    def test_said(self) -> None:
        """What is said of a read comes before what the mount says."""
        unsaid = HedgedUFS(self.late, None, self.clock, self.places.spare)
        for ufs, said, twice in (
            (unsaid, None, False),
            (unsaid, 0.02, True),
            (self.hedged(), 0.02, True),
            (self.hedged(), 0.0, False),
        ):
            self.late.asked.clear()
            with hedged_after(said):
                reading = self.read(ufs)
            self.clock.advance(0.03 if twice else 1)
            self.assertEqual(len(self.late.asked), 1 + twice)
            self.assertEqual(ufs.numbers()["hedged_reads"], int(twice))
            self.late.asked[-1].callback(None)
            self.assert_data(self.successResultOf(reading))
            self.assert_over()

    def test_in_time(self) -> None:
        """Who answers in time is asked once."""
        ufs = self.hedged()
        reading = self.read(ufs)
        self.clock.advance(0.04)
        self.late.asked[0].callback(None)
        self.assert_data(self.successResultOf(reading))
        self.clock.advance(1)
        self.assertEqual(len(self.late.asked), 1)
        self.assert_over()

    def test_second_wins(self) -> None:
        """A late one is asked again; the first to answer is taken."""
        for in_body in (False, True):
            self.late.in_body = in_body
            self.late.asked.clear()
            self.late.closed = 0
            ufs = self.hedged()
            reading = self.read(ufs)
            self.clock.advance(0.05)
            self.assertEqual(len(self.late.asked), 2)
            self.assertEqual(self.places.taken, 1)
            self.late.asked[1].callback(None)
            self.assert_data(self.successResultOf(reading))
            self.assertTrue(self.late.asked[0].called, "the other is let go")
            self.assertEqual(self.late.closed, 2 if in_body else 1)
            self.assertEqual((ufs.counts.hedged, ufs.counts.won), (1, 1))
            self.assert_over()

    def test_first_wins(self) -> None:
        """It may be the first after all."""
        ufs = self.hedged()
        reading = self.read(ufs)
        self.clock.advance(0.05)
        self.late.asked[0].callback(None)
        self.assert_data(self.successResultOf(reading))
        self.assertTrue(self.late.asked[1].called)
        self.assertEqual((ufs.counts.hedged, ufs.counts.won), (1, 0))
        self.assert_over()

    def test_failures(self) -> None:
        """A failure counts when there is nobody else to wait for."""
        ufs = self.hedged()
        reading = self.read(ufs)
        self.late.asked[0].errback(ObjectChanged())
        self.failureResultOf(reading, ObjectChanged)
        self.assert_over()

        reading = self.read(ufs)
        self.clock.advance(0.05)
        self.late.asked[1].errback(StorageUnavailable())
        self.assertNoResult(reading)
        self.late.asked[2].callback(None)
        self.assert_data(self.successResultOf(reading))
        self.assert_over()

        reading = self.read(ufs)
        self.clock.advance(0.05)
        for gate in self.late.asked[3:]:
            gate.errback(StorageUnavailable())
        self.failureResultOf(reading, StorageUnavailable)
        self.assert_over()

    def test_cancelled(self) -> None:
        """Who loses interest takes both with him."""
        ufs = self.hedged()
        reading = self.read(ufs)
        self.clock.advance(0.05)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        self.assertTrue(all(gate.called for gate in self.late.asked))
        self.assert_over()

    def test_budget(self) -> None:
        """Of many slow reads few are hedged: the storage is slow, not the tail."""
        ufs = self.hedged()
        for _ in range(1000):
            reading = self.read(ufs)
            self.clock.advance(0.06)
            for gate in self.late.asked:
                if not gate.called:
                    gate.callback(None)
            self.successResultOf(reading).close()
        self.assertEqual(ufs.counts.reads, 1000)
        most = (1000 + hedged.ENOUGH) * hedged.SHARE // 100
        self.assertLessEqual(ufs.counts.hedged, most)
        self.assertGreater(ufs.counts.hedged, most - 3)

    def test_no_place(self) -> None:
        """Where the mount's requests are capped, only a spare place is used."""
        self.places = Places(1, self.clock)
        place = self.places.spare()
        assert isinstance(place, Place)
        ufs = self.hedged()
        reading = self.read(ufs)
        self.clock.advance(1)
        self.assertEqual(len(self.late.asked), 1)
        self.assertEqual(ufs.counts.hedged, 0)
        self.late.asked[0].callback(None)
        self.assert_data(self.successResultOf(reading))

    def test_percentile(self) -> None:
        """A percentile follows what the storage does of late."""
        ufs = self.hedged(Patience(percentile=90))

        def answered(seconds: float) -> None:
            reading = self.read(ufs)
            gate = self.late.asked[-1]
            self.clock.advance(seconds)
            if not gate.called:
                gate.callback(None)
            self.successResultOf(reading).close()

        for _ in range(hedged.ENOUGH):
            answered(0.01)
        self.assertEqual(ufs.counts.hedged, 0)
        reading = self.read(ufs)
        self.clock.advance(0.011)
        self.assertEqual(ufs.counts.hedged, 1)
        self.late.asked[-1].callback(None)
        self.successResultOf(reading).close()
        for _ in range(hedged.SEEN):
            answered(0.1)
        self.assertGreaterEqual(ufs._delay() or 0.0, 0.099)
        self.assertEqual(len(ufs._sorted), hedged.SEEN)
        self.assert_over()
