"""
The S3 driver keeps the contract on real servers.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SkipTest, TestCase

from alluxio_tw.iobjects import NO_DEMAND, Attributes, Status
from alluxio_tw.iufs import IUnderFileSystem, ListQuery, Surroundings
from alluxio_tw.s3.checksums import ALGORITHMS
from alluxio_tw.testing.ufs import (
    ETAG,
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
    keeps = frozenset(("headers", "user", "tags"))
    plain_metadata = True
    metadata_limit = 2048
    rewrites = True
    limits: Mapping[str, str] = {}
    sums_parts = True

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
        # What is large is not all in memory at once.
        ufs: IUnderFileSystem = self.mount(
            "some where/deep", part_size="5MB", upload_threads="2"
        )
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

    async def test_longest_key(self) -> None:
        self.ufs = self.mount("")
        self.addCleanup(self.ufs.close)
        await super().test_longest_key()

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

    async def test_unsigned(self) -> None:
        """Bodies that are not signed are guarded otherwise, and are no different."""
        ufs = self.mount("", part_size="5MB", unsigned_payload="true")
        said = self.some_attributes()
        sizes = (5, 12 << 20) if self.sums_parts else (5,)
        for data in map(os.urandom, sizes):
            made = await put(ufs, "key", data, attributes=said)
            self.assert_said(made, said)
            self.assertTrue(await get(ufs, "key") == data)
            tagged = attrs.evolve(made.attributes, tags={"one": "1"})
            await ufs.describe("key", made, tagged)
            self.assertEqual(
                dict((await ufs.status("key")).attributes.tags), {"one": "1"}
            )
        await ufs.close()

    async def test_checksum_of_parts(self) -> None:
        """The checksum of an object that went in parts is told as its writer gave it."""
        for unsigned in ("false", "true"):
            ufs = self.mount("", part_size="5MB", unsigned_payload=unsigned)
            data = os.urandom(12 << 20)
            for name in ("crc32", "crc32c", "crc64nvme"):
                lane = ALGORITHMS[name].make()
                lane.update(data)
                sums = {name: b64encode(lane.digest()).decode()}
                coming = Attributes(checksums={name: ""})
                placing = await ufs.place("large", len(data), coming)
                await placing.write(data)
                whole = Attributes(checksums=sums, checksum_type="FULL_OBJECT")
                made = await placing.commit("", whole, NO_DEMAND)
                for status in (made, await ufs.status("large")):
                    found = dict(status.attributes.checksums)
                    # None is better than a wrong one.
                    right = (sums,) if self.sums_parts else (sums, {})
                    self.assertIn(found, right)
                # Which is compared with it, unless the server is known to be wrong.
                self.assertTrue(await get(ufs, "large") == data)
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
    # It says of the checksum of the parts' checksums that it is the object's.
    sums_parts = False
    # Its router knows no line breaks.
    odd_names = tuple(n for n in S3Tests.odd_names if "\n" not in n)

    def serve(self) -> Server:
        return servers.moto()


class VersitygwTests(S3Tests, TestCase):
    # Its folders are folders.
    limits = {"key_limits": "true"}
    # A copy onto itself keeps the headers that it does not replace.
    clears = False
    tags_in_order = False
    # It has no storage classes.
    storage_class = False
    # It says of a folder itself what its type is.
    folder_attributes = False

    def serve(self) -> Server:
        return servers.versitygw()
