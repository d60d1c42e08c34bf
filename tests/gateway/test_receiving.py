"""
Bytes coming in: limits, early ends, and what fails beside what.
"""

from __future__ import annotations

import os
from hashlib import md5
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.errors import (
    EntityTooLarge,
    IncompleteBody,
    ObjectChanged,
    StorageFull,
)
from alluxio_tw.gateway.receiving import (
    COPY_SLICE,
    THREADED,
    InMemory,
    check_size,
    receive,
)
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.s3.checksums import Digests, Promises
from alluxio_tw.threads import IThreads, NoThreads
from tests.doubles_threads import HeldThreads
from tests.gateway.worlds import ScriptedBody


@implementer(IPlacing)
class Sink:
    """
    Takes what is written, when the test lets it.
    """

    def __init__(self, held: bool = False) -> None:
        self.data = b""
        self.held = held
        self.writing: list[Deferred[None]] = []

    def write(self, data: Piece) -> Deferred[None]:
        assert not isinstance(data, FileSpan)
        self.data += bytes(data)
        if not self.held:
            return succeed(None)
        work: Deferred[None] = Deferred()
        self.writing.append(work)
        return work

    def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Deferred[Status]:
        raise AssertionError("not here")

    def abort(self) -> Deferred[None]:
        return succeed(None)


class ReceivingTests(SynchronousTestCase):
    def receive(
        self,
        body: ScriptedBody,
        size: int | None = None,
        limit: int = 1 << 20,
        sink: Sink | None = None,
        threads: IThreads | None = None,
    ) -> Deferred[int]:
        self.sink = sink or Sink()
        self.digests = Digests(Promises())
        around = NoThreads() if threads is None else threads
        return Deferred.fromCoroutine(
            receive(body, self.sink, self.digests, around, size, limit)
        )

    def test_whole(self) -> None:
        """All bytes are written and digested, in whatever pieces they come."""
        pieces = [b"a", bytes(THREADED), b"b", bytes(THREADED + 1)]
        work = self.receive(ScriptedBody().say(*pieces, None))
        whole = b"".join(pieces)
        self.assertEqual(self.successResultOf(work), len(whole))
        self.assertEqual(self.sink.data, whole)
        expected = md5(whole, usedforsecurity=False).hexdigest()
        self.assertEqual(self.digests.md5_hex, expected)

    def test_one_at_a_time(self) -> None:
        """The next piece is not asked for before the last is written and digested."""
        threads = HeldThreads()
        sink = Sink(held=True)
        body = ScriptedBody().say(bytes(THREADED), b"next", None)
        work = self.receive(body, sink=sink, threads=threads)
        self.assertEqual(len(body._pieces), 2)
        sink.writing.pop().callback(None)
        self.assertEqual(len(body._pieces), 2)
        threads.release()
        self.assertEqual(len(body._pieces), 1)
        sink.writing.pop().callback(None)
        self.assertEqual(self.successResultOf(work), THREADED + 4)

    def test_incomplete(self) -> None:
        """A body that ends before its length is incomplete."""
        work = self.receive(ScriptedBody().say(b"abc", None), size=4)
        self.failureResultOf(work, IncompleteBody)

    def test_too_large(self) -> None:
        """More than the limit is refused: before the first byte if it is announced."""
        body = ScriptedBody().say(b"abc", None)
        work = self.receive(body, size=11, limit=10)
        error = self.failureResultOf(work, EntityTooLarge).value
        self.assertEqual(error.fields["ProposedSize"], "11")
        self.assertEqual(len(body._pieces), 2)
        self.assertRaises(EntityTooLarge, check_size, 11, 10)
        check_size(10, 10)
        check_size(None, 10)
        work = self.receive(ScriptedBody().say(b"abc", b"x" * 8, None), limit=10)
        self.failureResultOf(work, EntityTooLarge)
        self.assertEqual(self.sink.data, b"abc")

    def test_both_halves(self) -> None:
        """Neither half is left running when the other fails."""
        threads = HeldThreads()
        sink = Sink(held=True)
        work = self.receive(
            ScriptedBody().say(bytes(THREADED)), sink=sink, threads=threads
        )
        sink.writing.pop().errback(StorageFull())
        self.assertNoResult(work)
        threads.release()
        self.failureResultOf(work, StorageFull)

    def test_both_fail(self) -> None:
        """If both fail, one of them is told and none is lost."""

        class Broken:
            def run(self, work: Any, *args: Any, **kwargs: Any) -> Deferred[Any]:
                return fail(ZeroDivisionError())

        class Full(Sink):
            def write(self, data: Piece) -> Deferred[None]:
                return fail(StorageFull())

        work = self.receive(
            ScriptedBody().say(bytes(THREADED)),
            sink=Full(),
            threads=Broken(),  # type: ignore[arg-type]
        )
        self.failureResultOf(work, StorageFull)
        self.assertEqual(self.flushLoggedErrors(), [])


class InMemoryTests(SynchronousTestCase):
    def file(self, data: bytes) -> int:
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        fd = os.open(path, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        return fd

    def read_all(self, body: InMemory) -> list[bytes]:
        found = []
        while (piece := self.successResultOf(body.read())) is not None:
            assert not isinstance(piece, FileSpan)
            found.append(bytes(piece))
        return found

    def test_files(self) -> None:
        """Pieces in files come as bytes, a slice at a time."""
        data = os.urandom(1000) * 9000
        fd = self.file(data)
        span = FileSpan(fd, 10, len(data) - 20)
        inner = ScriptedBody(5).say(b"a", span, b"b", None)
        body = InMemory(inner, NoThreads())
        self.assertEqual(body.length, 5)
        pieces = self.read_all(body)
        self.assertEqual(b"".join(pieces), b"a" + data[10:-10] + b"b")
        self.assertEqual(len(pieces[1]), COPY_SLICE)
        body.close()
        self.assertTrue(inner.closed)

    def test_cut(self) -> None:
        """A file that became shorter is another version."""
        fd = self.file(bytes(10))
        inner = ScriptedBody().say(FileSpan(fd, 0, 20))
        self.failureResultOf(InMemory(inner, NoThreads()).read(), ObjectChanged)
