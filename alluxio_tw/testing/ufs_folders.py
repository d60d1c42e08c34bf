"""
Folders: as objects of their own, and as buckets.
"""

from __future__ import annotations

from itertools import permutations

from twisted.internet.defer import Deferred

from alluxio_tw.errors import (
    BackendError,
    CallerError,
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    PreconditionFailed,
    UnsuitableKey,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Demand
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import OTHER, drain, get, keys_of, put


class FoldersContract(UFSCase):
    """Folders are kept, listed, and removed when they are empty."""

    async def test_folder_object(self) -> None:
        """A folder that was made as an object is one, and stays when it empties."""
        if not self.folder_objects:
            self.skipTest("it holds no folder objects")
        told = self.ufs.capabilities.attributes and self.folder_attributes
        said = self.some_attributes() if told else NO_ATTRIBUTES
        made = await put(self.ufs, "a/b/", b"", attributes=said)
        self.assertEqual(made.size, 0)
        self.assertEqual(await self.ufs.status("a/b/"), made)
        self.assertEqual(await get(self.ufs, "a/b/"), b"")
        await put(self.ufs, "a/b/key", b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/", "a/b/key"])
        await self.ufs.delete("a/b/key", NO_DEMAND)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["a/"])
        if self.ufs.capabilities.conditional or self.checks_demands:
            again = put(self.ufs, "a/b/", b"", demand=Demand(absent=True))
            await self.fails(Deferred.fromCoroutine(again), PreconditionFailed)
        if told:
            self.assert_said(made, said)
            bare = await self.ufs.describe("a/b/", made, NO_ATTRIBUTES)
            self.assertEqual(await self.ufs.status("a/b/"), bare)
        self.assertEqual(await self.ufs.delete("a/b/", NO_DEMAND), True)
        self.assertEqual(await self.ufs.delete("a/b/", NO_DEMAND), False)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])

    async def test_folder_object_bytes(self) -> None:
        """An object whose name ends in a slash keeps its bytes or is refused."""
        try:
            await put(self.ufs, "a/", b"data")
        except UnsuitableKey:
            self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        else:
            self.assertEqual(await get(self.ufs, "a/"), b"data")

    async def test_key_and_folder(self) -> None:
        """C{a}, C{a/} and C{a/b} are three objects, where a storage can hold them."""
        if self.ufs.capabilities.key_limits or not self.folder_objects:
            self.skipTest("it cannot hold them")
        keys = ["x/a", "x/a!", "x/a/", "x/a/b"]
        for first in permutations(("x/a", "x/a/", "x/a/b")):
            order = [*first, "x/a!"]
            for key in order:
                await put(self.ufs, key, key.encode() * 3)
            self.assertEqual(await keys_of(self.ufs, ListQuery()), keys)
            self.assertEqual(
                await keys_of(self.ufs, ListQuery("x/", fold=True)),
                ["x/a", "x/a!", "x/a/"],
            )
            self.assertEqual(
                await keys_of(self.ufs, ListQuery("x/a/", fold=True)), keys[2:]
            )
            for key in reversed(order):
                status = await self.ufs.status(key)
                self.assertEqual(status.size, len(key) * 3)
                body = await self.ufs.read(key, status, Span(1, 2))
                self.assertEqual(await drain(body), (key.encode() * 3)[1:3])
                again = put(self.ufs, key, b"new")
                self.assertNotEqual((await again).version, status.version)
            left = list(keys)
            for key in order:
                self.assertTrue(await self.ufs.delete(key, NO_DEMAND))
                left.remove(key)
                self.assertEqual(await keys_of(self.ufs, ListQuery()), left)

    async def test_folder_object_emptied(self) -> None:
        """An object whose name ends in a slash gets bytes, and loses them again."""
        if self.ufs.capabilities.key_limits or not self.folder_objects:
            self.skipTest("it cannot hold it")
        empty = await put(self.ufs, "a/", b"")
        full = await put(self.ufs, "a/", b"data", OTHER)
        self.assertEqual(await get(self.ufs, "a/"), b"data")
        if self.ufs.capabilities.attributes and self.folder_attributes:
            said = self.some_attributes()
            await self.fails(
                self.ufs.describe("a/", empty, NO_ATTRIBUTES), ObjectChanged
            )
            full = await self.ufs.describe("a/", full, said)
            self.assert_said(await self.ufs.status("a/"), said)
            self.assertEqual(await get(self.ufs, "a/"), b"data")
        empty = await put(self.ufs, "a/", b"")
        self.assertEqual((await self.ufs.status("a/")), empty)
        self.assertEqual(await get(self.ufs, "a/"), b"")
        await put(self.ufs, "a/", b"more")
        self.assertTrue(await self.ufs.delete("a/", NO_DEMAND))
        self.assertFalse(await self.ufs.delete("a/", NO_DEMAND))
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])

    async def test_folders(self) -> None:
        """Folders beneath the root are made, listed, and removed when empty."""
        if not self.ufs.capabilities.folders:
            self.skipTest("it has no folders")
        await self.ufs.make_folder("two")
        await self.ufs.make_folder("one")
        await self.fails(self.ufs.make_folder("one"), PathConflict)
        names = [bucket.name for bucket in await self.ufs.folders()]
        self.assertEqual(names, ["one", "two"])
        self.assertGreater((await self.ufs.folders())[0].created, 0)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        await put(self.ufs, "one/key", b"data")
        await put(self.ufs, "one/.alluxio-tw/uploads/1", b"data")
        await self.fails(self.ufs.remove_folder("one"), PathConflict)
        await self.fails(self.ufs.remove_folder("three"), NoSuchPath)
        await self.ufs.delete("one/key", NO_DEMAND)
        await self.ufs.remove_folder("two")
        names = [bucket.name for bucket in await self.ufs.folders()]
        self.assertEqual(names, ["one"])
        await self.ufs.remove_folder("one")
        self.assertEqual(await self.ufs.folders(), [])
        for name in ("..", "", "a/b", ".alluxio-tw"):
            await self.fails(self.ufs.make_folder(name), CallerError)
            await self.fails(self.ufs.remove_folder(name), BackendError)
