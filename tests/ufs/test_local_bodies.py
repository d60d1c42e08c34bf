"""
Tests of L{alluxio_tw.ufs.local_bodies}.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.iufs import Surroundings
from alluxio_tw.spans import Span
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.local import make
from alluxio_tw.ufs.local_bodies import SLICE

DATA = bytes(range(256)) * (3 * SLICE // 256)


class CheckedTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        self.path = os.path.join(folder, "k")
        with open(self.path, "wb") as file:
            file.write(DATA)
        # Written long ago: a change is not of the same instant.
        os.utime(self.path, ns=(0, 10**18))
        ufs = make(f"file://{folder}", {}, Surroundings(Clock(), NoThreads()))
        self.addCleanup(ufs.close)
        self.ufs = ufs
        self.status = self.successResultOf(ufs.status("k"))

    def body(self, span: Span) -> IBody:
        body: IBody = self.successResultOf(self.ufs.read("k", self.status, span))
        return body

    def overwrite(self, at: int) -> None:
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(b"changed")

    def test_whole(self) -> None:
        """It gives the bytes of its span, and then none."""
        for span in (Span(0, len(DATA)), Span(5, SLICE), Span(7, 0)):
            body = self.body(span)
            found = b""
            while (piece := self.successResultOf(body.read())) is not None:
                assert isinstance(piece, bytes)
                found += piece
            self.assertEqual(found, DATA[span.offset : span.end])
            body.close()
            self.assertIsNone(self.successResultOf(body.read()))

    def test_overwritten(self) -> None:
        """Bytes that were overwritten in place are not given for those of the version."""
        body = self.body(Span(0, len(DATA)))
        first: Piece | None = self.successResultOf(body.read())
        self.assertEqual(first, DATA[:SLICE])
        self.overwrite(SLICE + 10)
        self.failureResultOf(body.read(), ObjectChanged)

    def test_cut_short(self) -> None:
        """Nor are they if there are no longer as many."""
        body = self.body(Span(0, len(DATA)))
        os.truncate(self.path, 100)
        self.failureResultOf(body.read(), ObjectChanged)

    def test_replaced(self) -> None:
        """A file that another took the place of is read to its end."""
        body = self.body(Span(0, SLICE))
        os.unlink(self.path)
        self.assertEqual(self.successResultOf(body.read()), DATA[:SLICE])
