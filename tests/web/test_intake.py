"""
The memory that request bodies take together.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import IncompleteBody
from alluxio_tw.ibody import Piece
from alluxio_tw.web.intake import LONG_STRIDE, STRIDE, Intake
from alluxio_tw.web.request import BATCH, HIGH_WATER, Request, RequestBody
from tests.web.edges import Edge, Wire, asked, ok


class IntakeTests(SynchronousTestCase):
    """
    An edge whose requests are kept, to be read from by the test.
    """

    LIMIT = 2 * HIGH_WATER

    def setUp(self) -> None:
        self.intake = Intake(self.LIMIT)
        self.requests: list[Request] = []
        self.edge = Edge.serving(self.requests.append, intake=self.intake)

    def upload(self, sent: int, promised: int = 10 << 20) -> tuple[Wire, RequestBody]:
        """Begin to send a body."""
        wire = self.edge.connect()
        wire.send(asked("PUT", "/", content_length=str(promised)))
        self.send(wire, sent)
        body = self.requests[-1].body
        assert body is not None
        return wire, body

    def send(self, wire: Wire, count: int) -> None:
        """Send bytes, as many at a time as are read of a socket."""
        while count > 0:
            wire.send(b"x" * min(count, 65536))
            count -= 65536

    def test_counted(self) -> None:
        """What came and is not yet stored is counted; what is, is not."""
        _, body = self.upload(BATCH)
        self.assertEqual(self.intake.used, BATCH)
        self.assertEqual(len(self.piece(body.read())), BATCH)
        self.assertEqual(self.intake.used, BATCH)
        self.assertNoResult(body.read())
        self.assertEqual(self.intake.used, 0)

    def test_stride(self) -> None:
        """Few bodies are read in long strides, many in short ones."""
        intake = Intake(16 * LONG_STRIDE)
        self.assertEqual(intake.stride, LONG_STRIDE)
        intake.bodies = 4
        self.assertEqual(intake.stride, LONG_STRIDE)
        intake.bodies = 5
        self.assertEqual(intake.stride, STRIDE)

    def test_arriving(self) -> None:
        """A body counts as arriving until it is here, or will not come."""
        wire, body = self.upload(65536, 65537)
        self.assertEqual(self.intake.bodies, 1)
        wire.send(b"x")
        self.assertEqual(self.intake.bodies, 0)
        self.piece(body.read())
        lost, _ = self.upload(1)
        self.upload(1, 1 << 20)
        self.assertEqual(self.intake.bodies, 2)
        lost.go()
        self.assertEqual(self.intake.bodies, 1)
        ok(self.requests[-1])
        self.assertEqual(self.intake.bodies, 0)
        # What is short needs no long strides.
        self.upload(1, 65536)
        self.assertEqual(self.intake.bodies, 0)

    def test_socket(self) -> None:
        """The socket of a body is read so, and afterwards as before."""
        self.intake.limit = 64 * LONG_STRIDE
        wire = self.edge.connect()
        connection = cast("Any", wire.protocol)
        connection._wire = wire
        cast("Any", wire).bufferSize = STRIDE
        wire.send(asked("PUT", "/", content_length="100000"))
        self.assertEqual(cast("Any", wire).bufferSize, LONG_STRIDE)
        self.send(wire, 100_000)
        self.assertEqual(cast("Any", wire).bufferSize, STRIDE)

    def piece(self, reading: Deferred[Piece | None]) -> bytes:
        """What a read gave at once."""
        piece = self.successResultOf(reading)
        assert isinstance(piece, bytes)
        return piece

    def test_plenty(self) -> None:
        """While memory is plenty, a body runs ahead of its reader."""
        wire, _ = self.upload(HIGH_WATER - 1)
        self.assertFalse(wire.paused)
        wire.send(b"x")
        self.assertTrue(wire.paused)

    def test_scarce(self) -> None:
        """Once it is scarce, no socket is read whose last bytes were not taken."""
        self.upload(HIGH_WATER)
        other, body = self.upload(0)
        self.assertFalse(other.paused)
        other.send(b"y" * 100)
        self.assertTrue(other.paused)
        self.assertEqual(self.piece(body.read()), b"y" * 100)
        self.assertTrue(other.paused, "the reader is not done with it")
        self.assertNoResult(body.read())
        self.assertFalse(other.paused)

    def test_handed_on(self) -> None:
        """Once it is scarce, what comes is handed on in whatever size it came."""
        other, body = self.upload(0)
        reading = body.read()
        other.send(b"a" * 10)
        self.assertNoResult(reading)
        self.upload(HIGH_WATER)
        other.send(b"b")
        self.assertEqual(self.piece(reading), b"a" * 10 + b"b")

    def test_given_back(self) -> None:
        """However a request ends, what its body took is given back."""

        def read(wire: Wire, body: RequestBody) -> None:
            body.read().addErrback(lambda failure: failure.trap(IncompleteBody))

        def close(wire: Wire, body: RequestBody) -> None:
            body.close()

        def go(wire: Wire, body: RequestBody) -> None:
            wire.go()

        def more(wire: Wire, body: RequestBody) -> None:
            wire.send(b"\0" * 100_000)

        for steps in ((), (read,), (close,), (go,), (more,), (read, go), (read, close)):
            for promised in (1000, 10 << 20):
                wire, body = self.upload(1000, promised)
                for step in steps:
                    step(wire, body)
                ok(self.requests[-1])
                self.assertEqual(self.intake.used, 0, (steps, promised))

    def test_gone_while_waiting(self) -> None:
        """A request that waits behind another gives back what it took."""
        wire = self.edge.connect()
        wire.send(asked("GET", "/") + asked("PUT", "/", b"x" * 1000))
        self.assertEqual(self.intake.used, 1000)
        wire.go()
        ok(self.requests[0])
        self.assertEqual(self.intake.used, 0)

    def test_gone(self) -> None:
        """Of a body whose sender went, what has come is not kept."""
        wire, body = self.upload(HIGH_WATER)
        wire.go()
        self.assertEqual(self.intake.used, 0)
        self.failureResultOf(body.read(), IncompleteBody)
