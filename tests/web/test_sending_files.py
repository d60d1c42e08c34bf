"""
Bytes of files that are sent at once, and what happens when they cannot be.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import FileSpan, IBody
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from alluxio_tw.web import reply
from alluxio_tw.web.request import Request
from tests.web.edges import Edge, TestBody, asked
from tests.web.test_sending import Pair

GET = asked("GET", "/")


@implementer(IReading)
class Opened:
    """
    A file that is open, whose body is the test's.
    """

    status: Status
    cache = "BYPASS"

    def __init__(self, fd: int, size: int, *pieces: object) -> None:
        self.descriptor = fd
        self.size = size
        self.pieces = pieces
        self.bodies: list[TestBody] = []

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        pieces = self.pieces or (FileSpan(self.descriptor, span.offset, span.length),)
        body = TestBody(span.length, *pieces, None)  # type: ignore[arg-type]
        self.bodies.append(body)
        return body

    def close(self) -> None:
        pass


class FileTests(SynchronousTestCase):
    def file(self, data: bytes) -> int:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        return fd

    def pair(self, reading: Opened, span: Span, buffer: int) -> Pair:
        def answer(request: Request) -> None:
            reply.send_file(
                request,
                206,
                b"Content-Length: %d\r\n" % span.length,
                reading.descriptor,
                reading,
                span,
            )

        self.accounted: list[Request] = []
        edge = Edge.serving(answer, threads=NoThreads(), account=self.accounted.append)
        pair = Pair(edge, buffer)
        self.addCleanup(pair.close)
        return pair

    def test_at_once(self) -> None:
        """What the socket takes is sent without a body being made."""
        data = os.urandom(100_000)
        reading = Opened(self.file(data), len(data))
        pair = self.pair(reading, Span(1000, 65536), 4 << 20)
        for _ in range(3):
            pair.got = b""
            pair.send(GET)
            self.assertEqual(pair.drink(), data[1000:66536])
        self.assertEqual((reading.bodies, len(self.accounted)), ([], 3))
        self.assertEqual(self.accounted[0].bytes_out, 65536)

    def test_in_parts(self) -> None:
        """What it does not take follows, whole, and is accounted once."""
        data = os.urandom(900_000)
        reading = Opened(self.file(data), len(data))
        pair = self.pair(reading, Span(7, 800_000), 4096)
        pair.send(GET)
        self.assertEqual(pair.drink(), data[7:800_007])
        (request,) = self.accounted
        self.assertEqual((request.bytes_out, request.error), (800_000, ""))
        self.assertEqual([body.closes for body in reading.bodies], [1])
        self.assertFalse(pair.aborted)

    def test_changed_meanwhile(self) -> None:
        """Of a version that is gone before all of it was sent, no more is sent."""
        data = os.urandom(900_000)
        reading = Opened(self.file(data), len(data), ObjectChanged())
        pair = self.pair(reading, Span(0, 800_000), 4096)
        pair.send(GET)
        self.assertLess(len(pair.drink()), 800_000)
        self.assertTrue(pair.aborted)
        (request,) = self.accounted
        self.assertEqual(request.error, "ConnectionAborted")
        self.assertEqual([body.closes for body in reading.bodies], [1])
        self.flushLoggedErrors()

    def test_cut_short(self) -> None:
        """A file that became shorter never looks whole."""
        reading = Opened(self.file(bytes(1000)), 2000)
        pair = self.pair(reading, Span(0, 2000), 1 << 20)
        pair.send(GET)
        self.assertLess(len(pair.drink()), 2000)
        self.assertTrue(pair.aborted)
        self.flushLoggedErrors()
