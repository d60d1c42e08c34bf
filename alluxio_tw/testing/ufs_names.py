"""
Names: which keys an under file system holds.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from alluxio_tw.errors import PathConflict, UnsuitableKey
from alluxio_tw.iobjects import NO_DEMAND
from alluxio_tw.iufs import ListQuery
from alluxio_tw.testing.ufs_case import UFSCase
from alluxio_tw.testing.ufs_objects import get, keys_of, merged, put


class NamesContract(UFSCase):
    """A key is held as it is, or refused."""

    async def test_odd_names(self) -> None:
        """Names of every kind are kept as they are."""
        keys = [f"odd/{name}" for name in self.odd_names]
        keys += [f"{name}/in" for name in self.odd_names]
        for key in keys:
            await put(self.ufs, key, key.encode())
        for key in keys:
            self.assertEqual(await get(self.ufs, key), key.encode())
        self.assertEqual(
            await keys_of(self.ufs, ListQuery()), sorted(keys, key=str.encode)
        )

    async def test_longest_key(self) -> None:
        """A key may be as long as is promised."""
        key = "é" * 100 + "/"
        while (left := self.longest_key - len(key.encode())) > 256:
            key += "k" * 255 + "/"
        key += "o" * left
        await put(self.ufs, key, b"data")
        self.assertEqual(await get(self.ufs, key), b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [key])

    async def test_own_names(self) -> None:
        """What the project keeps for itself is listed only by its name."""
        await put(self.ufs, "key", b"")
        await put(self.ufs, ".alluxio-tw/uploads/u1/part.1", b"1")
        await put(self.ufs, ".alluxio-tw/uploads/u2/part.1", b"2")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["key"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(fold=True)), ["key"])
        self.assertEqual(await keys_of(self.ufs, ListQuery(".a")), [])
        self.assertEqual(
            await keys_of(self.ufs, ListQuery(".alluxio-tw/uploads/")),
            [
                ".alluxio-tw/uploads/u1/part.1",
                ".alluxio-tw/uploads/u2/part.1",
            ],
        )
        self.assertEqual(
            await keys_of(self.ufs, ListQuery(".alluxio-tw/uploads/", fold=True)),
            [".alluxio-tw/uploads/u1/", ".alluxio-tw/uploads/u2/"],
        )
        self.assertEqual(
            await self.ufs.delete(".alluxio-tw/uploads/u1/part.1", NO_DEMAND), True
        )
        self.assertEqual(await get(self.ufs, ".alluxio-tw/uploads/u2/part.1"), b"2")

    async def test_own_names_take_no_room(self) -> None:
        """What is not listed does not count as listed, nor as something that follows."""
        for n in range(5):
            await put(self.ufs, f".alluxio-tw/uploads/u1/part.{n}", b"1")
            await put(self.ufs, f".alluxio-tw-{n}", b"1")
        await put(self.ufs, "-before", b"")
        for query, keys, resume in (
            (ListQuery(limit=1), ["-before"], None),
            (ListQuery(limit=1, fold=True), ["-before"], None),
            (ListQuery(after="-before"), [], None),
            (ListQuery(after=".alluxio-tw/uploads/"), [], None),
        ):
            page = await self.ufs.list(query)
            self.assertEqual((merged(page), page.resume), (keys, resume), query)
        await put(self.ufs, "key", b"")
        page = await self.ufs.list(ListQuery(limit=1))
        self.assertEqual((merged(page), page.resume), (["-before"], "-before"))
        page = await self.ufs.list(ListQuery(after="-before", limit=1))
        self.assertEqual((merged(page), page.resume), (["key"], None))

    async def test_tree_conflicts(self) -> None:
        """An object and a folder do not take each other's place."""
        old = await put(self.ufs, "a/b", b"old")
        for key in ("a", "a/b/c", "a/b/c/d"):
            work = Deferred.fromCoroutine(put(self.ufs, key, b"new"))
            if self.ufs.capabilities.key_limits:
                await self.fails(work, PathConflict)
            else:
                await work
        self.assertEqual(await self.ufs.status("a/b"), old)
        self.assertEqual(await get(self.ufs, "a/b"), b"old")

    async def test_unsuitable_keys(self) -> None:
        """A key that the storage cannot hold is refused, or held."""
        for key in ("a//b", "a/../b", "./a", "a/.", "/a", "n" * 256, "a/\0/b", ".."):
            try:
                await put(self.ufs, key, b"data")
            except (UnsuitableKey, PathConflict):
                self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
            else:
                self.assertEqual(await get(self.ufs, key), b"data")
                await self.ufs.delete(key, NO_DEMAND)
