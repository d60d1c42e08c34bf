"""
Reading: what is there, its bytes, and what is not there.
"""

from __future__ import annotations

import os

from zope.interface.verify import verifyObject

from alluxio_tw.errors import NoSuchPath
from alluxio_tw.ibody import FileSpan, IBody
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, IReading, Status
from alluxio_tw.iufs import IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, drain, get, put


class ReadingContract(UFSCase):
    """Bytes come back as they were written."""

    def test_interface(self) -> None:
        """It provides what it claims to."""
        verifyObject(IUnderFileSystem, self.ufs)

    async def test_values_interfaces(self) -> None:
        """Its readings, bodies and placings provide what they claim to."""
        await put(self.ufs, "key", b"x")
        reading = await self.ufs.open("key")
        verifyObject(IReading, reading)
        body = reading.body(Span(0, 1))
        verifyObject(IBody, body)
        body.close()
        reading.close()
        placing = await self.ufs.place("other", None)
        verifyObject(IPlacing, placing)
        await placing.abort()

    async def test_check(self) -> None:
        """A storage that is there is found ready."""
        await self.ufs.check()

    async def test_back_and_forth(self) -> None:
        """Bytes come back as they were written, whatever their number."""
        for size in (0, 1, 4096, 300_001, self.large):
            data = os.urandom(size)
            status = await put(self.ufs, f"of/{size}", data)
            self.assertEqual(status.size, size)
            self.assertEqual(await get(self.ufs, f"of/{size}") == data, True, size)

    async def test_pieces(self) -> None:
        """Pieces of every kind are joined in the order they came."""
        path = self.mktemp()
        data = os.urandom(3 << 20)
        with open(path, "wb") as file:
            file.write(data)
        with open(path, "rb") as opened:
            await put(
                self.ufs,
                "key",
                [
                    b"first",
                    memoryview(b"-second-")[1:7],
                    FileSpan(opened.fileno(), 100, 2 << 20),
                    memoryview(data)[: 1 << 20],
                    b"last",
                ],
            )
        expected = (
            b"firstsecond" + data[100 : 100 + (2 << 20)] + data[: 1 << 20] + b"last"
        )
        self.assertTrue(await get(self.ufs, "key") == expected)

    async def test_spans(self) -> None:
        """A span of an object is exactly those bytes."""
        data = os.urandom(200_000)
        status = await put(self.ufs, "key", data)
        for offset, length in ((0, 1), (199_999, 1), (65_536, 70_000), (0, 200_000)):
            span = Span(offset, length)
            expected = data[offset : offset + length]
            self.assertTrue(await get(self.ufs, "key", span) == expected, span)
            body = await self.ufs.read("key", status, span)
            if body.length is not None:
                self.assertEqual(body.length, length)
            self.assertTrue(await drain(body) == expected, span)

    async def test_no_bytes(self) -> None:
        """An empty span gives no piece at all."""
        await put(self.ufs, "key", b"data")
        self.assertEqual(await get(self.ufs, "key", Span(2, 0)), b"")

    async def test_at_once(self) -> None:
        """What can be had at once is what was asked for."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        for span in (Span(0, 10), Span(99_990, 10), Span(1000, 65_536), Span(0, 0)):
            got = reading.at_once(span)
            if got is not None:
                self.assertEqual(got, data[span.offset : span.end])
        reading.close()

    async def test_body_outlives_reading(self) -> None:
        """A body holds its own lease."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        body = reading.body(Span(0, 100_000))
        reading.close()
        reading.close()
        await put(self.ufs, "another", b"to take the place of what was let go")
        self.assertTrue(await drain(body) == data)
        body.close()

    async def test_body_closed_early(self) -> None:
        """A body may be closed before its end, and nothing else suffers."""
        data = os.urandom(100_000)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        body = reading.body(Span(0, 100_000))
        await body.read()
        body.close()
        body.close()
        self.assertTrue(await drain(reading.body(Span(0, 100_000))) == data)
        reading.close()

    async def test_nothing(self) -> None:
        """What was never written is not there."""
        status = Status(1, "version", ETAG, 0)
        span = Span(0, 1)
        for key in ("key", "folder/key", "folder/", "a//b", "../a", "x" * 300):
            await self.fails(self.ufs.status(key), NoSuchPath)
            await self.fails(self.ufs.open(key), NoSuchPath)
            await self.fails(self.ufs.read(key, status, span), NoSuchPath)
            if self.ufs.capabilities.attributes:
                describing = self.ufs.describe(key, status, NO_ATTRIBUTES)
                await self.fails(describing, NoSuchPath)
            self.assertEqual(await self.ufs.delete(key, NO_DEMAND), False, key)
            self.assertIsNone(self.ufs.glance(key), key)

    async def test_status(self) -> None:
        """Whoever asks is told the version that commit told."""
        before = await put(self.ufs, "a/key", b"data", attributes=NO_ATTRIBUTES)
        self.assertEqual(await self.ufs.status("a/key"), before)
        reading = await self.ufs.open("a/key")
        self.assertEqual(reading.status, before)
        reading.close()
        page = await self.ufs.list(ListQuery())
        (entry,) = page.entries
        self.assertEqual(
            (entry.key, entry.size, entry.etag, entry.modified),
            ("a/key", 4, before.etag, before.modified),
        )
        self.assertGreater(before.modified, 0)

    async def test_folder_is_no_object(self) -> None:
        """What only lies on the way to an object is none."""
        await put(self.ufs, "a/b/key", b"data")
        for key in ("a", "a/", "a/b", "a/b/", "a/b/key/", "a/b/key/x"):
            await self.fails(self.ufs.status(key), NoSuchPath)
            await self.fails(self.ufs.open(key), NoSuchPath)
            self.assertEqual(await self.ufs.delete(key, NO_DEMAND), False, key)
        self.assertEqual(await get(self.ufs, "a/b/key"), b"data")

    async def test_glance(self) -> None:
        """A glance never tells of a version that is no more."""
        await put(self.ufs, "key", b"old")
        for n in range(5):
            await get(self.ufs, "key")
            glance = self.ufs.glance("key")
            if glance is not None:
                self.assertEqual(glance.status, await self.ufs.status("key"))
                glance.close()
            made = await put(self.ufs, "key", b"%03d" % n, f"{n:032x}")
            glance = self.ufs.glance("key")
            if glance is not None:
                self.assertEqual(glance.status, made)
                self.assertEqual(await drain(glance.body(Span(0, 3))), b"%03d" % n)
                glance.close()
        await self.ufs.delete("key", NO_DEMAND)
        self.assertIsNone(self.ufs.glance("key"))
