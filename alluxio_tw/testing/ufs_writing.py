"""
Writing: all at once or not at all; deleting; sweeping.
"""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred, DeferredList

from alluxio_tw.errors import NoSuchPath, ObjectChanged
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, drain, get, keys_of, merged, put


class WritingContract(UFSCase):
    """An object appears whole, or not at all."""

    async def test_unseen_before_commit(self) -> None:
        """Nothing of an object is seen before its commit."""
        placing = await self.ufs.place("key", None)
        await placing.write(b"x" * 1_000_000)
        await self.fails(self.ufs.status("key"), NoSuchPath)
        self.assertEqual(merged(await self.ufs.list(ListQuery())), [])
        await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        self.assertEqual(merged(await self.ufs.list(ListQuery())), ["key"])
        await placing.abort()
        self.assertEqual((await self.ufs.status("key")).size, 1_000_000)

    async def test_abort(self) -> None:
        """What is given up leaves the old object as it was, and nothing else."""
        old = await put(self.ufs, "a/key", b"old")
        for pieces in (0, 1, 3):
            placing = await self.ufs.place("a/key", None)
            for _ in range(pieces):
                await placing.write(b"x" * 500_000)
            await placing.abort()
            await placing.abort()
        other = await self.ufs.place("b/key", 500_000)
        await other.write(b"x" * 500_000)
        await other.abort()
        self.assertEqual(await self.ufs.status("a/key"), old)
        self.assertEqual(await get(self.ufs, "a/key"), b"old")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/key"])
        if self.ufs.capabilities.folders:
            names = [bucket.name for bucket in await self.ufs.folders()]
            self.assertNotIn("b", names)

    async def test_overwrite(self) -> None:
        """A new version has a new token, and what was opened before never mixes."""
        data = os.urandom(1 << 20)
        old = await put(self.ufs, "key", data, etag=ETAG)
        reading = await self.ufs.open("key")
        new = await put(self.ufs, "key", b"y" * (1 << 20), etag=OTHER)
        self.assertNotEqual(new.version, old.version)
        self.assertEqual(await self.ufs.status("key"), new)
        self.assertEqual(await get(self.ufs, "key"), b"y" * (1 << 20))
        await self.fails(self.ufs.read("key", old, Span(0, 1)), ObjectChanged)
        try:
            got = await drain(reading.body(Span(0, 1 << 20)))
        except (ObjectChanged, NoSuchPath):
            pass
        else:
            self.assertTrue(got == data)
        reading.close()

    async def test_versions_differ(self) -> None:
        """Versions of one size that follow each other closely differ."""
        versions = set()
        for n in range(20):
            data = b"%02d" % n
            versions.add((await put(self.ufs, "key", data, f"{n:032x}")).version)
        self.assertEqual(len(versions), 20)

    async def test_modified(self) -> None:
        """An object is given the time that its writer asks for."""
        if self.sets_modified is None:
            self.skipTest("times cannot be set")
        for when in (1_000_000_000_000_000_000, 1_700_000_000_123_456_000):
            made = await put(self.ufs, "key", b"data", modified=when)
            found = (await self.ufs.status("key")).modified
            self.assertLess(abs(found - when), self.sets_modified)
            self.assertEqual(found, made.modified)

    async def test_many_at_once(self) -> None:
        """Writers of one key do not mix: one of them was the last."""
        datas = [bytes([n]) * 400_000 for n in range(6)]
        await DeferredList(
            [
                Deferred.fromCoroutine(
                    put(self.ufs, "key", [d[:9], d[9:]], f"{n:032x}")
                )
                for n, d in enumerate(datas)
            ],
            fireOnOneErrback=True,
        )
        self.assertIn(await get(self.ufs, "key"), datas)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])

    async def test_delete(self) -> None:
        """What was deleted is gone, with the way to it and nothing else."""
        await put(self.ufs, "a/b/c/key", b"data")
        await put(self.ufs, "a/other", b"data")
        self.assertEqual(await self.ufs.delete("a/b/c/key", NO_DEMAND), True)
        self.assertEqual(await self.ufs.delete("a/b/c/key", NO_DEMAND), False)
        await self.fails(self.ufs.open("a/b/c/key"), NoSuchPath)
        self.assertIsNone(self.ufs.glance("a/b/c/key"))
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["a/"])
        self.assertEqual(
            await keys_of(self.ufs, ListQuery("a/", fold=True)), ["a/other"]
        )
        # The name of a folder that was on the way can now be an object's.
        await put(self.ufs, "a/b", b"data")
        self.assertEqual(await get(self.ufs, "a/b"), b"data")

    async def test_sweep(self) -> None:
        """Sweeping takes nothing that is there or being made."""
        await put(self.ufs, "key", b"data")
        placing = await self.ufs.place("other", None)
        await placing.write(b"x" * 1_000_000)
        await self.ufs.sweep(0)
        made = await placing.commit(ETAG, self.some_attributes(), NO_DEMAND)
        await placing.abort()
        await self.ufs.sweep(0)
        self.assertEqual(await self.ufs.status("other"), made)
        self.assertEqual(await get(self.ufs, "key"), b"data")
