"""
The S3 driver keeps the contract on real servers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SkipTest, TestCase

from alluxio_tw.errors import ObjectChanged, PreconditionFailed
from alluxio_tw.iobjects import NO_ATTRIBUTES, NO_DEMAND, Attributes, Demand, Status
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.testing.ufs import (
    ETAG,
    OTHER,
    UnderFileSystemContract,
    get,
    keys_of,
    put,
)
from alluxio_tw.threads import PooledThreads
from alluxio_tw.ufs.s3 import make
from tests.servers import s3 as servers
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, NotInstalled, Server


class S3Tests(UnderFileSystemContract):
    """
    The contract, less what no S3 can do: ETags are the storage's, metadata has
    a limit, and what is described anew has a new time.
    """

    sets_modified = None
    clears = True
    limits: Mapping[str, str] = {}

    def serve(self) -> Server:
        raise NotImplementedError

    def make_ufs(self) -> IUnderFileSystem:
        try:
            server = self.serve()
        except NotInstalled as error:
            if servers.required():
                raise
            raise SkipTest(str(error)) from error
        self.server = server
        self.bucket = server.make_bucket()
        ufs: IUnderFileSystem = self.mount("some where/deep")
        return ufs

    def mount(self, prefix: str, buckets: bool = False, **options: str) -> Any:
        pool = ThreadPool(0, 4)
        pool.start()
        self.addCleanup(pool.stop)
        keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        return make(
            self.server.uri(self.bucket, prefix),
            {**self.limits, **keys, **options},
            Surroundings(
                IReactorTime(reactor),
                PooledThreads(reactor, pool),  # type: ignore[arg-type]
                buckets,
            ),
        )

    def some_attributes(self) -> Attributes:
        return attrs.evolve(
            super().some_attributes(),
            user={"name": "value", "empty": "", "two-words": "a  b"},
            checksums={},
            checksum_type="",
            part_sizes=(),
            part_checksums=(),
        )

    async def test_attributes(self) -> None:
        said = self.some_attributes()
        made = await put(self.ufs, "key", b"data", OTHER, said)
        self.assert_said(made, said)
        found = await self.ufs.status("key")
        self.assertEqual(found, made)
        (entry,) = (await self.ufs.list(ListQuery())).entries
        kind = said.headers.get("x-amz-storage-class", "")
        self.assertEqual((entry.etag, entry.storage_class), (made.etag, kind))

    async def test_attributes_replaced(self) -> None:
        await put(self.ufs, "key", b"data", OTHER, self.some_attributes())
        await put(self.ufs, "key", b"atad", ETAG)
        self.assert_said(await self.ufs.status("key"), NO_ATTRIBUTES)

    async def test_copy_onto_itself(self) -> None:
        source = await put(self.ufs, "key", b"data")
        said = self.some_attributes()
        made = await self.ufs.copy("key", source, "key", said, ETAG, NO_DEMAND)
        self.assertEqual(await self.ufs.status("key"), made)
        self.assertEqual(await get(self.ufs, "key"), b"data")
        self.assert_said(made, said)

    def assert_said(self, status: Status, said: Attributes) -> None:
        """What was said is told again; the storage may add a checksum."""
        found = attrs.evolve(status.attributes, checksums={}, checksum_type="")
        self.assertEqual(found, said)

    async def test_many_attributes(self) -> None:
        said = Attributes(
            user={f"name-{n}": "v" * 80 for n in range(20)},
            tags={f"{n}" * 30: "ü" * 30 for n in range(10)},
        )
        made = await put(self.ufs, "key", b"data", attributes=said)
        self.assert_said(await self.ufs.status("key"), said)
        less = await self.ufs.describe("key", made, self.some_attributes())
        self.assertEqual((await self.ufs.status("key")), less)
        await put(self.ufs, "key", b"more")
        self.assert_said(await self.ufs.status("key"), NO_ATTRIBUTES)

    async def test_describe(self) -> None:
        old = await put(self.ufs, "key", b"data", OTHER)
        tagged = attrs.evolve(old.attributes, tags={"one": "1", "two": "é /+="})
        new = await self.ufs.describe("key", old, tagged)
        found = await self.ufs.status("key")
        self.assertEqual((found, found.attributes), (new, tagged))
        # Tags leave everything else as it was.
        self.assertEqual(attrs.evolve(found, attributes=old.attributes), old)
        new = await self.ufs.describe("key", found, self.some_attributes())
        found = await self.ufs.status("key")
        self.assertEqual(found, new)
        self.assert_said(found, self.some_attributes())
        self.assertEqual((found.etag, found.size), (old.etag, old.size))
        self.assertEqual(await get(self.ufs, "key"), b"data")
        bare = await self.ufs.describe("key", found, NO_ATTRIBUTES)
        if self.clears:
            self.assert_said(bare, NO_ATTRIBUTES)
        self.assertEqual(await self.ufs.status("key"), bare)
        await put(self.ufs, "key", b"changed")
        await self.fails(self.ufs.describe("key", old, NO_ATTRIBUTES), ObjectChanged)

    async def test_copy(self) -> None:
        data = os.urandom(self.large)
        source = await put(self.ufs, "a/source", data)
        said = self.some_attributes()
        made = await self.ufs.copy(
            "a/source", source, "b/target", said, OTHER, Demand(absent=True)
        )
        self.assertEqual(await self.ufs.status("b/target"), made)
        self.assertTrue(await get(self.ufs, "b/target") == data)
        self.assertEqual(await self.ufs.status("a/source"), source)
        self.assert_said(made, said)

    async def test_longest_key(self) -> None:
        self.ufs = self.mount("")
        self.addCleanup(self.ufs.close)
        await super().test_longest_key()

    async def test_demand_match(self) -> None:
        for demand in (Demand(match=("*",)), Demand(match=(OTHER, ETAG))):
            await self.refused(b"1", demand)
        made = await put(self.ufs, "key", b"first")
        await self.refused(b"2", Demand(match=("0" * 32,)))
        self.assertEqual(await self.ufs.status("key"), made)
        made = await put(self.ufs, "key", b"2nd", demand=Demand(match=("*",)))
        demand = Demand(match=(OTHER, made.etag))
        await put(self.ufs, "key", b"next", demand=demand)
        await self.refused(b"last", demand)
        self.assertEqual(await get(self.ufs, "key"), b"next")

    async def refused(self, data: bytes, demand: Demand) -> None:
        work = Deferred.fromCoroutine(put(self.ufs, "key", data, demand=demand))
        await self.fails(work, PreconditionFailed)

    async def test_join(self) -> None:
        for sizes in ((5 << 20, 5 << 20, 1), (5 << 20, 1, 700_000), (7,), (0, 0)):
            parts = [os.urandom(size) for size in sizes]
            sources = [f".alluxio-tw/uploads/u1/part.{n}" for n in range(len(parts))]
            for source, part in zip(sources, parts, strict=True):
                await put(self.ufs, source, part)
            said = self.some_attributes()
            made = await self.ufs.join(sources, "a/whole", said, OTHER, NO_DEMAND)
            self.assertEqual(await self.ufs.status("a/whole"), made)
            self.assertEqual(made.size, sum(sizes))
            self.assert_said(made, said)
            self.assertTrue(await get(self.ufs, "a/whole") == b"".join(parts))
            self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/whole"])

    # Beyond the contract

    async def test_parts(self) -> None:
        """What is large goes in parts, and is no different for it."""
        ufs = self.mount("", part_size="5MB", upload_threads="2")
        data = os.urandom(12 << 20)
        said = self.some_attributes()
        for hint in (None, said):
            placing = await ufs.place("large", None, hint)
            for at in range(0, len(data), 700_001):
                await placing.write(memoryview(data)[at : at + 700_001])
                self.assertLessEqual(ufs.room.taken, 3 * (5 << 20))
            made = await placing.commit(ETAG, said, NO_DEMAND)
            await placing.abort()
            self.assert_said(made, said)
            self.assertEqual(await ufs.status("large"), made)
            self.assertTrue(await get(ufs, "large") == data)
        self.assertEqual(ufs.room.taken, 0)
        self.assertEqual(await keys_of(ufs, ListQuery(".alluxio-tw/")), [])
        await ufs.close()

    async def test_parts_given_up(self) -> None:
        """Parts that were given up leave nothing at the storage."""
        ufs = self.mount("", part_size="5MB")
        placing = await ufs.place("large", None)
        await placing.write(os.urandom(11 << 20))
        uploads = self.uploads()
        self.assertEqual(len(uploads), 1)
        await placing.abort()
        self.assertEqual(self.uploads(), [])
        self.assertEqual(ufs.room.taken, 0)
        self.assertEqual(await keys_of(ufs, ListQuery(".alluxio-tw/")), [])
        await ufs.close()

    async def test_dead_uploads_swept(self) -> None:
        """An upload whose writer died is swept when it is old; others never are."""
        dead, alive = self.mount("p", part_size="5MB"), self.mount("p")
        placing = await dead.place("large", None)
        await placing.write(os.urandom(11 << 20))
        self.server.client().create_multipart_upload(Bucket=self.bucket, Key="p/other")
        self.assertEqual(await dead.sweep(0), 0)
        self.assertEqual(await alive.sweep(3600), 0)
        self.assertEqual(len(self.uploads()), 2)
        self.assertEqual(await alive.sweep(0), 1)
        self.assertEqual(await alive.sweep(0), 0)
        self.assertEqual(self.uploads(), ["p/other"])
        await placing.abort()
        await dead.close()
        await alive.close()

    def uploads(self) -> list[str]:
        """The keys of uploads in progress, as another client sees them."""
        found = self.server.client().list_multipart_uploads(Bucket=self.bucket)
        return [each["Key"] for each in found.get("Uploads", [])]

    async def test_prefix(self) -> None:
        """A mount of a prefix sees what is beneath it, and nothing beside."""
        inner, outer = self.mount("one/two"), self.mount("")
        await put(inner, "key", b"in")
        await put(outer, "one/two-not/key", b"out")
        self.assertEqual(await keys_of(inner, ListQuery()), ["key"])
        self.assertEqual(
            await keys_of(outer, ListQuery("one/")), ["one/two-not/key", "one/two/key"]
        )
        self.assertEqual(await get(outer, "one/two/key"), b"in")
        await inner.close()
        await outer.close()

    async def test_folders_of_others(self) -> None:
        """Folders that others made are buckets; the objects that stand for them are not told."""
        ufs = self.mount("root", buckets=True)
        client = self.server.client()
        for key in ("root/one/", "root/two/key", "root/file"):
            client.put_object(Bucket=self.bucket, Key=key, Body=b"")
        self.assertEqual([each.name for each in await ufs.folders()], ["one", "two"])
        self.assertEqual(await keys_of(ufs, ListQuery("one/")), [])
        self.assertEqual(await keys_of(ufs, ListQuery("two/")), ["two/key"])
        await ufs.remove_folder("one")
        self.assertEqual([each.name for each in await ufs.folders()], ["two"])
        await ufs.close()

    async def test_out_of_band(self) -> None:
        """What others write is seen, with everything that they say of it."""
        client = self.server.client()
        client.put_object(
            Bucket=self.bucket,
            Key="some where/deep/k",
            Body=b"theirs",
            ContentType="text/x-theirs",
            Metadata={"who": "them"},
            Tagging="a=b",
        )
        status: Status = await self.ufs.status("k")
        self.assertEqual(
            (status.size, dict(status.attributes.user), dict(status.attributes.tags)),
            (6, {"who": "them"}, {"a": "b"}),
        )
        self.assertEqual(status.attributes.headers, {"content-type": "text/x-theirs"})
        client.put_object(Bucket=self.bucket, Key="some where/deep/k", Body=b"newer!")
        reading = await self.ufs.open("k")
        self.assertNotEqual(reading.status.version, status.version)
        reading.close()

    async def test_many_connections(self) -> None:
        """More requests than connections wait their turn."""
        ufs = self.mount("", connections="2")
        await put(ufs, "key", b"data")
        works = [Deferred.fromCoroutine(get(ufs, "key")) for _ in range(20)]
        self.assertEqual([await work for work in works], [b"data"] * 20)
        await ufs.close()


class MotoTests(S3Tests, TestCase):
    # Its router knows no line breaks.
    odd_names = tuple(n for n in S3Tests.odd_names if "\n" not in n)

    def serve(self) -> Server:
        return servers.moto()


class VersitygwTests(S3Tests, TestCase):
    # Its folders are folders.
    limits = {"key_limits": "true"}
    # A copy onto itself keeps the headers that it does not replace.
    clears = False

    def some_attributes(self) -> Attributes:
        # It has no storage classes.
        said = super().some_attributes()
        del said.headers["x-amz-storage-class"]  # type: ignore[attr-defined]
        return said

    async def test_folder_object(self) -> None:
        # It says of a folder itself what its type is.
        made = await put(self.ufs, "a/b/", b"")
        self.assertEqual(await self.ufs.status("a/b/"), made)
        self.assertEqual(await get(self.ufs, "a/b/"), b"")
        await put(self.ufs, "a/b/key", b"data")
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/", "a/b/key"])
        await self.ufs.delete("a/b/key", NO_DEMAND)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), ["a/b/"])
        self.assertEqual(await self.ufs.delete("a/b/", NO_DEMAND), True)
        self.assertEqual(await keys_of(self.ufs, ListQuery()), [])

    def serve(self) -> Server:
        return servers.versitygw()
