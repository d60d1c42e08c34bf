"""
Leases: what is given up is given back, and nothing is held that was not asked for.

Whoever cancels, or closes early, is a client that went away.  A driver that keeps
a connection, a descriptor or a thread for each of them works until it has none
left; so these tests take and give up more than any pool holds, and then ask for
something.  What hangs then is ended by trial, as a failure.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from alluxio_tw.errors import GatewayError
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, get, keys_of, merged, put

AT_ONCE = 8


async def given_up(work: Deferred[Any]) -> Any:
    """
    Cancel some work, and wait for what comes of it.

    :result: its result, if it was done already, or could not be stopped.
    """
    work.cancel()
    try:
        return await work
    except (CancelledError, GatewayError):
        return None


class LeasesContract(UFSCase):
    """What is given up is given back."""

    async def test_bodies_given_up(self) -> None:
        """Bodies that are closed early, or were never read, hold nothing."""
        data = os.urandom(self.large)
        status = await put(self.ufs, "key", data)
        span = Span(0, self.large)
        for n in range(self.many):
            if n % 2:
                reading = await self.ufs.open("key")
                body = reading.body(span)
                reading.close()
            else:
                body = await self.ufs.read("key", status, span)
            if n % 4 > 1:
                await body.read()
            body.close()
        self.assertTrue(await get(self.ufs, "key") == data)

    async def test_readings_given_up(self) -> None:
        """Readings that nobody reads hold nothing once they are closed."""
        await put(self.ufs, "key", b"data")
        for _ in range(self.many):
            reading = await self.ufs.open("key")
            reading.close()
        self.assertEqual(await get(self.ufs, "key"), b"data")

    async def test_cancelled(self) -> None:
        """Whoever asked and went away is no burden to the others."""
        data = os.urandom(self.large)
        status = await put(self.ufs, "key", data)
        span = Span(0, self.large)
        questions: list[Callable[[], Deferred[Any]]] = [
            lambda: self.ufs.status("key"),
            lambda: self.ufs.open("key"),
            lambda: self.ufs.read("key", status, span),
            lambda: self.ufs.list(ListQuery()),
            lambda: self.ufs.place("other", None),
        ]
        for question in questions:
            for _ in range(max(self.many // AT_ONCE, 1)):
                for work in [question() for _ in range(AT_ONCE)]:
                    await self.forgotten(await given_up(work))
            self.assertEqual(await self.ufs.status("key"), status)
        self.assertTrue(await get(self.ufs, "key") == data)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])

    async def forgotten(self, result: Any) -> None:
        """Give back what came although it was cancelled."""
        if hasattr(result, "close"):
            result.close()
        if hasattr(result, "abort"):
            await result.abort()

    async def test_read_cancelled(self) -> None:
        """A body whose reader went away in the middle is closed like any other."""
        data = os.urandom(self.large)
        status = await put(self.ufs, "key", data)
        for n in range(self.many):
            body = await self.ufs.read("key", status, Span(0, self.large))
            if n % 2:
                await body.read()
            await given_up(body.read())
            body.close()
        self.assertTrue(await get(self.ufs, "key") == data)

    async def test_write_cancelled(self) -> None:
        """An upload whose writer went away leaves the old object, and nothing else."""
        old = await put(self.ufs, "key", b"old")
        for n in range(max(self.many // 10, 2)):
            placing = await self.ufs.place("key", None)
            for _ in range(n % 3):
                await placing.write(b"x" * 300_000)
            await given_up(placing.write(b"y" * 300_000))
            await placing.abort()
        self.assertEqual(await self.ufs.status("key"), old)
        self.assertEqual(await get(self.ufs, "key"), b"old")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])

    async def test_commit_cancelled(self) -> None:
        """A commit that was cancelled has happened, or it has not: nothing between."""
        for n in range(max(self.many // 10, 2)):
            old = await put(self.ufs, "key", b"old", ETAG)
            placing = await self.ufs.place("key", None)
            await placing.write(b"new%d" % n)
            made = await given_up(placing.commit(OTHER, NO_ATTRIBUTES, NO_DEMAND))
            await placing.abort()
            found = await get(self.ufs, "key")
            if made is not None:
                self.assertEqual(await self.ufs.status("key"), made)
                self.assertEqual(found, b"new%d" % n)
            elif found == b"old":
                self.assertEqual(await self.ufs.status("key"), old)
            else:
                self.assertEqual(found, b"new%d" % n)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])

    async def test_slow_readers(self) -> None:
        """Bodies that nobody reads from for long do not stand in the others' way."""
        data = os.urandom(self.large)
        status = await put(self.ufs, "key", data)
        bodies = [
            await self.ufs.read("key", status, Span(0, self.large)) for _ in range(3)
        ]
        got = [bytes_of(await body.read()) for body in bodies]
        await put(self.ufs, "other", b"data")
        self.assertEqual(await get(self.ufs, "other"), b"data")
        self.assertEqual(merged(await self.ufs.list(ListQuery())), ["key", "other"])
        for body, first in zip(bodies, got, strict=True):
            whole = bytearray(first)
            while piece := bytes_of(await body.read()):
                whole += piece
            body.close()
            self.assertTrue(whole == data)

    async def test_memory_writing(self) -> None:
        """An object that is written takes little memory, however large it is."""
        if self.memory is None:
            self.skipTest("its objects are in memory")
        with _Traced() as traced:
            placing = await self.ufs.place("key", self.huge)
            for at in range(0, self.huge, 1 << 20):
                await placing.write(os.urandom(min(1 << 20, self.huge - at)))
            status = await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
            await placing.abort()
        self.assertEqual(status.size, self.huge)
        self.assertLess(traced.peak, self.memory)

    async def test_memory_reading(self) -> None:
        """
        An object that is read takes little memory, however large it is, and however
        long its reader takes for it.
        """
        if self.memory is None:
            self.skipTest("its objects are in memory")
        piece = os.urandom(1 << 20)
        status = await put(self.ufs, "key", [piece] * (self.huge >> 20))
        await put(self.ufs, "other", piece)
        with _Traced() as traced:
            body = await self.ufs.read("key", status, Span(0, status.size))
            size = 0
            if (got := await body.read()) is not None:
                size += size_of(got)
            # The reader is busy elsewhere: what is sent now is not asked for.
            for _ in range(20):
                self.assertTrue(await get(self.ufs, "other") == piece)
            while (got := await body.read()) is not None:
                size += size_of(got)
            body.close()
        self.assertEqual(size, status.size)
        self.assertLess(traced.peak, self.memory)


def bytes_of(piece: Piece | None) -> bytes:
    """What a piece holds; nothing at the end."""
    if isinstance(piece, FileSpan):
        return os.pread(piece.fd, piece.length, piece.offset)
    return bytes(piece or b"")


def size_of(piece: Piece) -> int:
    """How many bytes a piece has, wherever they are."""
    return piece.length if isinstance(piece, FileSpan) else len(piece)


class _Traced:
    """How much memory was taken within, at most, in bytes."""

    peak = 0

    def __enter__(self) -> _Traced:
        self._ours = not tracemalloc.is_tracing()
        if self._ours:
            tracemalloc.start()
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    def __exit__(self, *_: object) -> None:
        self.peak = tracemalloc.get_traced_memory()[1] - self._before
        if self._ours:
            tracemalloc.stop()
