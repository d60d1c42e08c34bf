"""
What the HDFS driver does on a real cluster beyond the contract.
"""

from __future__ import annotations

import itertools
import os
import random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from alluxio_tw.errors import (
    NoSuchPath,
    ObjectChanged,
    PathConflict,
    PreconditionFailed,
    StorageDenied,
    StorageFull,
    StorageUnavailable,
    UnsuitableKey,
)
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Demand
from alluxio_tw.iufs import ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs_objects import (
    ETAG,
    OTHER,
    drain,
    get,
    keys_of,
    merged,
    modelled,
    put,
)
from alluxio_tw.ufs.webhdfs_wire import Asking, Wire
from tests.servers.hdfs import Refused
from tests.ufs.test_webhdfs import HdfsCase

BATCH = 50
"""How many names the cluster tells at a time."""


class ListingTests(HdfsCase, TestCase):
    """Listings of folders that take several batches."""

    async def check_all(self, keys: list[str]) -> None:
        """Pages from many starts, against the plain model."""
        chosen = random.Random(7)
        starts = ["", *chosen.sample(keys, 4), "m", "n-", "n/", "zz"]
        starts += [key[:-1] + "." for key in chosen.sample(keys, 2)]
        for prefix, after, fold in itertools.product(
            ("", "n", "n-", "x0", "é"), starts, (False, True)
        ):
            query = ListQuery(prefix, after, fold)
            page = await self.ufs.list(query)
            self.assertEqual(merged(page), modelled(keys, query), query)
        for prefix, fold in itertools.product(("", "n"), (False, True)):
            query = ListQuery(prefix, "", fold, 7)
            found = await keys_of(self.ufs, query)
            self.assertEqual(found, modelled(keys, query), query)

    def make(self, keys: list[str]) -> None:
        for key in keys:
            self.cluster.write(f"{self.folder}/{key}", b"x")

    async def test_ascii(self) -> None:
        """Large folders of plain names are listed exactly, and no further than needed."""
        names = [f"n{c}{n:02d}" for c in "-.!0_" for n in range(20)]
        keys = [*names, *(f"x{n:03d}" for n in range(100)), "n/a", "n/b", "n-/in"]
        keys += ["n-05.d/in", "n-05.d-/in", "zz/in", "a"]
        self.make(keys)
        await self.check_all(keys)
        questions = self.count("LISTSTATUS_BATCH")
        page = await self.ufs.list(ListQuery("", "x050", limit=10))
        self.assertEqual(merged(page), [f"x{n:03d}" for n in range(51, 61)])
        self.assertEqual(len(questions), 1)

    async def test_other_letters(self) -> None:
        """Folders with names of any alphabet are listed in the order of S3."""
        letters = ("a", "é", "\uffee", "\U0001f600", "z", "漢")
        words = ["".join(each) for each in itertools.product(letters, repeat=3)]
        keys = [*words[:150], *(f"{word}/in" for word in words[150:]), "n", "x0"]
        self.make(keys)
        await self.check_all(keys)

    async def test_changing(self) -> None:
        """A name that comes between two pages is not missed, whatever its alphabet."""
        keys = [f"k{n:03d}" for n in range(3 * BATCH)]
        self.make(keys)
        self.assertEqual(await keys_of(self.ufs, ListQuery(limit=40)), keys)
        page = await self.ufs.list(ListQuery(limit=40))
        self.make(["k050é", "k1é", "é", "k0395"])
        rest = await keys_of(self.ufs, ListQuery(after=page.resume or "", limit=40))
        everything = sorted([*keys, "k050é", "k1é", "é", "k0395"], key=str.encode)
        self.assertEqual(rest, everything[40:])

    async def test_empty_folders(self) -> None:
        """Folders with nothing in them are no keys, and stand in no object's way."""
        for folder in ("a/b/c", "a/d", "key/in"):
            self.cluster.tell("mkdir", f"{self.folder}/{folder}")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        self.assertEqual(await keys_of(self.ufs, ListQuery("a/d/", fold=True)), [])
        await put(self.ufs, "key", b"data")
        self.assertEqual(await get(self.ufs, "key"), b"data")
        await put(self.ufs, "a", b"first", demand=Demand(absent=True))
        self.assertEqual(await get(self.ufs, "a"), b"first")

    async def test_etags_known(self) -> None:
        """The ETags of a page are asked for once."""
        keys = [f"k{n}" for n in range(20)]
        self.make(keys)
        questions = self.count("GETXATTRS")
        first = await self.ufs.list(ListQuery())
        self.assertEqual(len(questions), 20)
        self.assertEqual((await self.ufs.list(ListQuery())).entries, first.entries)
        self.assertEqual(len(questions), 20)
        for entry in first.entries:
            self.assertEqual((await self.ufs.status(entry.key)).etag, entry.etag)

    async def test_denied(self) -> None:
        """A folder that we may not enter is passed over, unless it is asked for."""
        self.make(["a", "b/secret", "c"])
        self.cluster.tell("chmod", f"{self.folder}/b", "700")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a", "c"])
        await self.fails(self.ufs.list(ListQuery("b/")), StorageDenied)
        await self.fails(self.ufs.status("b/secret"), StorageDenied)
        await self.fails(self.ufs.open("b/secret"), StorageDenied)

    def count(self, op: str) -> list[str]:
        """The questions of one kind that are asked from now on."""
        asked: list[str] = []
        ask = Wire.ask

        def counted(wire: Wire, asking: Asking) -> Any:
            if asking.op == op:
                asked.append(asking.path)
            return ask(wire, asking)

        self.patch(Wire, "ask", counted)
        return asked


class VersionTests(HdfsCase, TestCase):
    """What other programs do to files."""

    async def test_theirs(self) -> None:
        """A file that another program wrote has an ETag of its own, and its bytes."""
        self.cluster.write(f"{self.folder}/a/b", b"theirs")
        status = await self.ufs.status("a/b")
        self.assertEqual((status.size, status.attributes), (6, NO_ATTRIBUTES))
        self.assertRegex(status.etag, r"\A[0-9a-f]{16}-[0-9a-f]{16}\Z")
        self.assertEqual(await get(self.ufs, "a/b"), b"theirs")
        await put(self.ufs, "c", b"ours")
        self.assertEqual(self.cluster.read(f"{self.folder}/c"), b"ours")

    async def test_overwritten(self) -> None:
        """What another program puts in its place has nothing of the old object."""
        await put(self.ufs, "key", b"ours", OTHER, Attributes(user={"a": "b"}))
        old = await self.ufs.status("key")
        self.cluster.write(f"{self.folder}/key", b"them")
        new = await self.ufs.status("key")
        self.assertNotEqual(new.version, old.version)
        self.assertNotEqual(new.etag, OTHER)
        self.assertEqual(new.attributes, NO_ATTRIBUTES)
        await self.fails(self.ufs.read("key", old, Span(0, 4)), ObjectChanged)

    async def test_appended_and_cut(self) -> None:
        """What is appended to, or cut off, is another version, and described as such."""
        await put(self.ufs, "key", b"0123456789", OTHER, Attributes(user={"a": "b"}))
        before = await self.ufs.status("key")
        reading = await self.ufs.open("key")
        for change in (
            lambda: self.cluster.write(f"{self.folder}/key", b"more", "append"),
            lambda: self.cluster.tell("truncate", f"{self.folder}/key", "3"),
        ):
            change()
            after = await self.ufs.status("key")
            self.assertNotEqual(after.version, before.version)
            self.assertNotEqual(after.etag, before.etag)
            self.assertEqual(after.attributes, NO_ATTRIBUTES)
            span = Span(0, before.size)
            await self.fails(self.ufs.read("key", before, span), ObjectChanged)
            before = after
        self.assertEqual(await get(self.ufs, "key"), b"012")
        span = Span(5, 5)
        await self.fails(
            Deferred.fromCoroutine(drain(reading.body(span))), ObjectChanged
        )
        reading.close()

    async def test_renamed_by_others(self) -> None:
        """What is said about an object goes where its file goes."""
        said = self.some_attributes()
        made = await put(self.ufs, "key", b"data", OTHER, said)
        self.cluster.tell("move", f"{self.folder}/key", f"{self.folder}/other")
        await self.fails(self.ufs.status("key"), NoSuchPath)
        self.assertEqual(await self.ufs.status("other"), made)

    async def test_changed_midway(self) -> None:
        """A body that spans a change ends with it, or is of the old version."""
        data = os.urandom(12 << 20)
        await put(self.ufs, "key", data)
        reading = await self.ufs.open("key")
        body = reading.body(Span(0, len(data)))
        piece = await body.read()
        assert isinstance(piece, bytes)
        got = piece
        await put(self.ufs, "key", os.urandom(12 << 20), OTHER)
        try:
            while (piece := await body.read()) is not None:
                assert isinstance(piece, bytes)
                got += piece
        except (ObjectChanged, NoSuchPath):
            self.assertTrue(data.startswith(got))
        else:
            self.assertTrue(got == data)
        body.close()

    async def test_without_attributes(self) -> None:
        """Mounted with attributes=false it asks for none, and keeps none."""
        ufs = self.mount(attributes="false")
        made = await put(ufs, "a/key", b"data", OTHER, self.some_attributes())
        self.assertFalse(ufs.capabilities.attributes)
        self.assertNotEqual(made.etag, OTHER)
        self.assertEqual(await ufs.status("a/key"), made)
        self.assertEqual((await ufs.list(ListQuery())).entries[0].etag, made.etag)
        await put(ufs, "a/", b"")
        self.assertEqual(await keys_of(ufs, ListQuery()), ["a/", "a/key"])
        await ufs.close()


class JoiningTests(HdfsCase, TestCase):
    """Parts that become one file."""

    async def parts(self, *sizes: int) -> tuple[list[str], bytes]:
        datas = [os.urandom(size) for size in sizes]
        names = [f".alluxio-tw/uploads/u/{n:05d}" for n in range(len(sizes))]
        for name, data in zip(names, datas, strict=True):
            await put(self.ufs, name, data)
        return names, b"".join(datas)

    def blocks(self, key: str) -> int:
        return int(self.cluster.tell("blocks", f"{self.folder}/{key}"))

    async def join(self, sources: list[str], ufs: Any = None) -> Any:
        return await (ufs or self.ufs).join(
            sources, "whole", self.some_attributes(), OTHER, NO_DEMAND
        )

    async def test_blocks_moved(self) -> None:
        """Parts are joined by their blocks: no byte is read or written."""
        sources, data = await self.parts(5 << 20, 100, 0, 4 << 20)
        made = await self.join(sources)
        self.assertEqual((made.size, made.etag), (len(data), OTHER))
        self.assertEqual(self.blocks("whole"), 4)
        self.assertTrue(await get(self.ufs, "whole") == data)
        self.assertEqual(await keys_of(self.ufs, ListQuery(".alluxio-tw/")), [])

    async def test_written_anew(self) -> None:
        """Where blocks cannot be moved, or are not to be, parts are written anew."""
        sources, data = await self.parts(1 << 20, 2 << 20)
        self.cluster.tell("snapshots", f"{self.folder}/.alluxio-tw/uploads/u")
        await self.join(sources)
        self.assertEqual(self.blocks("whole"), 1)
        self.assertTrue(await get(self.ufs, "whole") == data)
        ufs = self.mount(concat="false")
        sources = [f"p/{n}" for n in range(3)]
        for source in sources:
            await put(ufs, source, b"x" * 1000)
        await self.join(sources, ufs)
        self.assertEqual(self.blocks("whole"), 1)
        self.assertEqual(await get(ufs, "whole"), b"x" * 3000)
        await ufs.close()

    async def test_empty(self) -> None:
        """Parts without bytes make an object without bytes."""
        sources, _ = await self.parts(0, 0)
        self.assertEqual((await self.join(sources)).size, 0)
        self.assertEqual(await get(self.ufs, "whole"), b"")

    async def test_gone_on_with(self) -> None:
        """A join that died between two requests is gone on with by the next."""
        sources, data = await self.parts(*[1000] * 6)
        joining = self.ufs._joining  # type: ignore[attr-defined]
        once, calls = type(joining)._once, []

        async def dies(self: Any, whole: str, batch: list[str], size: int) -> None:
            calls.append(batch)
            await once(self, whole, batch[:3], 3000)
            raise StorageUnavailable("It died.")

        self.patch(type(joining), "_once", dies)
        await self.fails(Deferred.fromCoroutine(self.join(sources)), StorageUnavailable)
        self.patch(type(joining), "_once", once)
        await self.fails(self.ufs.status("whole"), NoSuchPath)
        made = await self.join(sources)
        self.assertEqual(made.size, 6000)
        self.assertTrue(await get(self.ufs, "whole") == data)
        self.assertEqual(await keys_of(self.ufs, ListQuery(".alluxio-tw/")), [])

    async def test_leftovers_swept(self) -> None:
        """What writers left who died is swept when it is old."""
        dead = self.mount()
        placing = await dead.place("key", None)
        await placing.write(os.urandom(1 << 20))
        await put(self.ufs, ".alluxio-tw/uploads/u/part", b"part")
        left = f"{self.folder}/.alluxio-tw/uploads/u/.alluxio-tw.joining.x"
        self.cluster.write(left, b"half")
        self.assertEqual(await self.ufs.sweep(3600), 0)
        # The writer that is alive knows of its own.
        self.assertEqual(await dead.sweep(0), 1)
        self.assertEqual(await self.ufs.sweep(0), 1)
        self.assertEqual(await self.ufs.sweep(0), 0)
        self.assertEqual(await get(self.ufs, ".alluxio-tw/uploads/u/part"), b"part")
        await placing.abort()
        await dead.close()


class WritingTests(HdfsCase, TestCase):
    """Files being written."""

    async def test_pause(self) -> None:
        """A writer that pauses keeps no connection, and goes on by appending."""
        ufs = self.mount(write_pause="20ms", connections="1")
        data = os.urandom(3 << 20)
        placing = await ufs.place("key", None)
        for at in range(0, len(data), 1 << 20):
            await placing.write(data[at : at + (1 << 20)])
            # There is one connection for writers, and somebody else gets it.
            await put(ufs, f"other-{at}", b"x" * 1000)
        made = await placing.commit(ETAG, NO_ATTRIBUTES, NO_DEMAND)
        await placing.abort()
        self.assertEqual(made.size, len(data))
        self.assertTrue(await get(ufs, "key") == data)
        await ufs.close()

    async def test_many_connections(self) -> None:
        """More requests than connections wait their turn."""
        ufs = self.mount(connections="2")
        data = os.urandom(1 << 20)
        await put(ufs, "key", data)
        works = [Deferred.fromCoroutine(get(ufs, "key")) for _ in range(12)]
        self.assertEqual([await work == data for work in works], [True] * 12)
        writes = [
            Deferred.fromCoroutine(put(ufs, f"k/{n}", data[: n << 10]))
            for n in range(12)
        ]
        self.assertEqual([(await w).size for w in writes], [n << 10 for n in range(12)])
        await ufs.close()

    async def test_shape(self) -> None:
        """Replication and block size are what the mount says."""
        ufs = self.mount(block_size="1MB", replication="1")
        await put(ufs, "key", os.urandom(2_500_000))
        self.assertEqual(int(self.cluster.tell("blocks", f"{self.folder}/key")), 3)
        await ufs.close()

    async def test_quota(self) -> None:
        """A folder that is full refuses more, and what is there stays."""
        old = await put(self.ufs, "key", b"old")
        self.cluster.tell("quota", self.folder, "1000", str(1 << 20))
        for size in (1000, 30 << 20):
            await self.fails(
                Deferred.fromCoroutine(put(self.ufs, "key", b"x" * size)),
                StorageFull,
                StorageUnavailable,
            )
            self.assertEqual(await self.ufs.status("key"), old)
            self.cluster.tell("quota", self.folder, "1000", str(40 << 20))
        self.assertEqual(await get(self.ufs, "key"), b"old")

    async def test_names(self) -> None:
        """What HDFS cannot name is refused before any byte is sent."""
        for key in (
            "a:b",
            "a/.snapshot/b",
            "a/.alluxio-tw.folder",
            ".alluxio-tw/tmp/x",
        ):
            await self.fails(self.ufs.place(key, None), UnsuitableKey)
            await self.fails(self.ufs.status(key), NoSuchPath)

    async def test_other_user(self) -> None:
        """Who is not let in hears that the storage denied it."""
        self.cluster.write(f"{self.folder}/theirs/key", b"x")
        self.cluster.tell("chmod", f"{self.folder}/theirs", "755")
        await self.fails(
            Deferred.fromCoroutine(put(self.ufs, "theirs/new", b"x")), StorageDenied
        )
        await self.fails(self.ufs.delete("theirs/key", NO_DEMAND), StorageDenied)
        status = await self.ufs.status("theirs/key")
        self.cluster.tell("chmod", f"{self.folder}/theirs/key", "600")
        await self.fails(self.ufs.status("theirs/key"), StorageDenied)
        await self.fails(self.ufs.read("theirs/key", status, Span(0, 1)), StorageDenied)
        # It can be seen all the same.
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["theirs/key"])
        self.assertEqual(await keys_of(self.mount(), ListQuery()), ["theirs/key"])

    async def test_race(self) -> None:
        """Of many who each demand to be the first, exactly one is; so on two mounts."""
        other = self.mount()
        works = [
            Deferred.fromCoroutine(
                put(
                    (self.ufs, other)[n % 2],
                    "a/b",
                    b"%d" % n,
                    demand=Demand(absent=True),
                )
            )
            for n in range(10)
        ]
        won = []
        for n, work in enumerate(works):
            try:
                await work
            except PreconditionFailed:
                continue
            won.append(n)
        self.assertEqual(len(won), 1)
        self.assertEqual(await get(self.ufs, "a/b"), b"%d" % won[0])
        await other.close()

    async def test_making_and_pruning(self) -> None:
        """Folders that go and come while objects are placed in them hinder nobody."""

        async def work(n: int) -> None:
            for _ in range(8):
                await put(self.ufs, f"deep/er/{n}", b"x")
                self.assertTrue(await self.ufs.delete(f"deep/er/{n}", NO_DEMAND))

        works = [Deferred.fromCoroutine(work(n)) for n in range(6)]
        for each in works:
            await each
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])
        with self.assertRaises(Refused):
            self.cluster.tell("blocks", f"{self.folder}/deep")


class BucketTests(HdfsCase, TestCase):
    """A mount whose folders are buckets."""

    async def test_buckets(self) -> None:
        """Buckets stay when they are empty, keep their age, and are not made by the way."""
        ufs = self.mount(buckets=True)
        self.cluster.tell("mkdir", f"{self.folder}/theirs/below")
        await ufs.make_folder("ours")
        before = await ufs.folders()
        self.assertEqual([bucket.name for bucket in before], ["ours", "theirs"])
        await put(ufs, "ours/a/key", b"x")
        self.assertEqual((await ufs.folders())[0], before[0])
        await self.fails(Deferred.fromCoroutine(put(ufs, "none/key", b"x")), NoSuchPath)
        await self.fails(ufs.remove_folder("ours"), PathConflict)
        self.assertTrue(await ufs.delete("ours/a/key", NO_DEMAND))
        self.assertEqual(len(await ufs.folders()), 2)
        await ufs.remove_folder("ours")
        await ufs.remove_folder("theirs")
        self.assertEqual(await ufs.folders(), [])
        await ufs.close()

    async def test_no_root(self) -> None:
        """A mount of a folder that is not there says so."""
        self.cluster.tell("delete", self.folder)
        for work in (self.ufs.check(), self.ufs.list(ListQuery())):
            error = await self.fails(work, StorageUnavailable)
            self.assertIn("is not there", str(error))
