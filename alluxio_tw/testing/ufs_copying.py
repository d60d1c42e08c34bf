"""
Copying, and joining parts, within the storage.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from twisted.internet.defer import Deferred

from alluxio_tw.errors import NoSuchPath, ObjectChanged, PreconditionFailed
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Demand, Status
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import ETAG, OTHER, get, keys_of, put


class CopyingContract(UFSCase):
    """A copy, or a join, is an object like any other."""

    async def test_copy(self) -> None:
        """A copy has the bytes of its source and the attributes it is given."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        data = os.urandom(self.large)
        source = await put(self.ufs, "a/source", data)
        said = self.some_attributes()
        made = await self.ufs.copy(
            "a/source", source, "b/target", said, OTHER, Demand(absent=True)
        )
        self.assertEqual(await self.ufs.status("b/target"), made)
        self.assertTrue(await get(self.ufs, "b/target") == data)
        self.assertEqual(await self.ufs.status("a/source"), source)
        self.assert_said(made, said, OTHER)

    async def test_copy_onto_itself(self) -> None:
        """An object that is copied onto itself has new attributes."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        source = await put(self.ufs, "key", b"data")
        said = self.some_attributes()
        made = await self.ufs.copy("key", source, "key", said, ETAG, NO_DEMAND)
        self.assertEqual(await self.ufs.status("key"), made)
        self.assertEqual(await get(self.ufs, "key"), b"data")
        self.assert_said(made, said)

    async def test_copy_refused(self) -> None:
        """A copy of another version, or against a demand, changes nothing."""
        if not self.ufs.capabilities.copies:
            self.skipTest("it does not copy")
        old = await put(self.ufs, "source", b"old")
        new = await put(self.ufs, "source", b"newer", OTHER)
        there = await put(self.ufs, "target", b"there")

        def copy(status: Status, demand: Demand) -> Deferred[Status]:
            return self.ufs.copy(
                "source", status, "target", NO_ATTRIBUTES, OTHER, demand
            )

        await self.fails(copy(old, NO_DEMAND), ObjectChanged)
        if self.ufs.capabilities.conditional:
            await self.fails(copy(new, Demand(absent=True)), PreconditionFailed)
        await self.ufs.delete("source", NO_DEMAND)
        await self.fails(copy(new, NO_DEMAND), NoSuchPath)
        self.assertEqual(await self.ufs.status("target"), there)

    async def test_join(self) -> None:
        """Joined, parts are one object in the order given, and of no more use."""
        if not self.ufs.capabilities.joins:
            self.skipTest("it does not join")
        large = self.large
        before: list[str] = []
        for sizes in ((large, 1, 700_000), (large, large, 1), (7,), (0, 0)):
            parts = [os.urandom(size) for size in sizes]
            # Their names are in no order.
            sources = [
                f".alluxio-tw/uploads/u1/part.{n * 7 % 4:05d}"
                for n in range(len(parts))
            ]
            for source, part in zip(sources, parts, strict=True):
                await put(self.ufs, source, part)
            self.assertEqual(await keys_of(self.ufs, ListQuery()), before)
            said = self.some_attributes()
            made = await self.ufs.join(sources, "a/whole", said, OTHER, NO_DEMAND)
            self.assertEqual(await self.ufs.status("a/whole"), made)
            self.assertEqual(made.size, sum(sizes))
            self.assertTrue(await get(self.ufs, "a/whole") == b"".join(parts))
            self.assert_said(made, said, OTHER)
            before = ["a/whole"]
            self.assertEqual(await keys_of(self.ufs, ListQuery()), before)
            for source in sources:
                await self.ufs.delete(source, NO_DEMAND)
            self.assertTrue(await get(self.ufs, "a/whole") == b"".join(parts))

    async def test_join_refused(self) -> None:
        """A join against a demand leaves the old object and the parts."""
        if not self.ufs.capabilities.joins:
            self.skipTest("it does not join")
        there = await put(self.ufs, "whole", b"there")
        await put(self.ufs, ".alluxio-tw/uploads/u1/1", b"part")

        def join(sources: Sequence[str], demand: Demand) -> Deferred[Status]:
            return self.ufs.join(sources, "whole", NO_ATTRIBUTES, OTHER, demand)

        one, two = (f".alluxio-tw/uploads/u1/{n}" for n in (1, 2))
        if self.ufs.capabilities.conditional:
            await self.fails(join([one], Demand(absent=True)), PreconditionFailed)
        await self.fails(join([one, two], NO_DEMAND), NoSuchPath)
        self.assertEqual(await self.ufs.status("whole"), there)
        self.assertEqual(await get(self.ufs, ".alluxio-tw/uploads/u1/1"), b"part")
