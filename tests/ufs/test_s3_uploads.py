"""
Multipart uploads handed on to real S3 servers.
"""

from __future__ import annotations

import base64
import os
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SkipTest, TestCase
from zope.interface.verify import verifyObject

from alluxio_tw.errors import (
    GatewayError,
    InvalidPart,
    InvalidPartNumber,
    NoSuchPath,
    NoSuchUpload,
    PreconditionFailed,
    StorageUnavailable,
)
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    PartStatus,
    Status,
)
from alluxio_tw.iparts import IParts
from alluxio_tw.iufs import ListQuery, Surroundings
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.s3.checksums import ALGORITHMS
from alluxio_tw.spans import Span
from alluxio_tw.testing.ufs import get, keys_of, put
from alluxio_tw.threads import PooledThreads
from alluxio_tw.ufs.s3 import make
from tests.servers import s3 as servers
from tests.servers.s3 import ACCESS_KEY, SECRET_KEY, NotInstalled, Server

MB = 1 << 20


def checksum(name: str, data: bytes) -> str:
    """In base64."""
    lane = ALGORITHMS[name].make()
    lane.update(data)
    return base64.b64encode(lane.digest()).decode()


class UploadsTests:
    """
    What L{IStorageUploads} promises.

    :cvar checks: the server compares checksums, and keeps them.
    :cvar tells_parts: it tells where a part lies.
    :cvar gone: what it says of a part for an upload that is no more.
    """

    checks = True
    tells_parts = True
    gone: type[Exception] = NoSuchUpload

    def serve(self) -> Server:
        raise NotImplementedError

    def setUp(self) -> None:
        try:
            self.server = self.serve()
        except NotInstalled as error:
            if servers.required():
                raise
            raise SkipTest(str(error)) from error
        self.bucket = self.server.make_bucket()
        self.ufs = self.mount()
        self.uploads = IStorageUploads(self.ufs)

    def mount(self, **options: str) -> Any:
        case: Any = self
        pool = ThreadPool(0, 4)
        pool.start()
        case.addCleanup(pool.stop)
        keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        ufs = make(
            self.server.uri(self.bucket, "deep"),
            {**keys, **options},
            Surroundings(
                IReactorTime(reactor),
                PooledThreads(reactor, pool),  # type: ignore[arg-type]
            ),
        )
        case.addCleanup(ufs.close)
        return ufs

    async def part(
        self,
        upload: str,
        number: int,
        data: bytes,
        algorithm: str = "",
        claimed: str = "",
        uploads: Any = None,
    ) -> PartStatus:
        """Write a part."""
        placing = await (uploads or self.uploads).place_part(
            "a/key", upload, number, len(data)
        )
        for at in range(0, len(data), 300_001):
            await placing.write(memoryview(data)[at : at + 300_001])
        sums = {algorithm: claimed or checksum(algorithm, data)} if algorithm else {}
        told = Attributes(checksums=sums, checksum_type="FULL_OBJECT" if sums else "")
        try:
            made: Status = await placing.commit("", told, NO_DEMAND)
        finally:
            await placing.abort()
        return PartStatus(number, made.size, made.etag, made.modified, sums)

    async def fails(self, work: Any, error: type[Exception]) -> Exception:
        try:
            result = await work
        except error as raised:
            return raised
        raise AssertionError(f"no failure, but {result!r}")

    def under_way(self) -> list[str]:
        """The uploads that the server knows."""
        found = self.server.client().list_multipart_uploads(Bucket=self.bucket)
        return [each["Key"] for each in found.get("Uploads", [])]

    async def test_whole(self) -> None:
        """Parts in any order become an object with what it was given at its beginning."""
        case: Any = self
        verifyObject(IStorageUploads, self.uploads)
        said = Attributes(
            {"content-type": "text/x-whole"}, {"who": "me"}, {"tag": "value"}
        )
        upload = await self.uploads.begin_upload("a/key", said, "", "")
        case.assertEqual(self.under_way(), ["deep/a/key"])
        last, first = os.urandom(7), os.urandom(5 * MB)
        parts = [await self.part(upload, 9, last), await self.part(upload, 2, b"old")]
        parts[1] = await self.part(upload, 2, first)
        await self.fails(self.ufs.status("a/key"), NoSuchPath)
        made = await self.uploads.complete_upload(
            "a/key", upload, parts[::-1], said, NO_DEMAND
        )
        case.assertEqual(await self.ufs.status("a/key"), made)
        case.assertEqual(made.size, 5 * MB + 7)
        case.assertTrue(made.etag.endswith("-2"))
        found = made.attributes
        case.assertEqual(
            (dict(found.headers), dict(found.user), dict(found.tags)),
            (dict(said.headers), dict(said.user), dict(said.tags)),
        )
        case.assertTrue(await get(self.ufs, "a/key") == first + last)
        case.assertEqual(self.under_way(), [])
        case.assertEqual(await keys_of(self.ufs, ListQuery(".alluxio-tw/")), [])
        case.assertEqual(self.ufs.room.taken, 0)

    async def test_parts_told(self) -> None:
        """Where the parts of an object lie, the storage is asked."""
        case: Any = self
        parts = IParts(self.ufs)
        verifyObject(IParts, parts)
        upload = await self.uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        pieces = [os.urandom(n) for n in (5 << 20, (5 << 20) + 1, 3)]
        sent = [
            await self.part(upload, number, data)
            for number, data in enumerate(pieces, 1)
        ]
        made = await self.uploads.complete_upload(
            "a/key", upload, sent, NO_ATTRIBUTES, NO_DEMAND
        )
        if not self.tells_parts:
            # Then nothing is made up.
            case.assertIsNone(await parts.part("a/key", made, 2))
            return
        at = 0
        for number, data in enumerate(pieces, 1):
            found = await parts.part("a/key", made, number)
            assert found is not None
            case.assertEqual((found.span, found.count), (Span(at, len(data)), 3))
            at += len(data)
        await self.fails(parts.part("a/key", made, 4), InvalidPartNumber)
        other = attrs.evolve(made, etag="0" * 32 + "-3")
        case.assertIsNone(await parts.part("a/key", other, 1))
        whole = await put(self.ufs, "a/key", b"data")
        case.assertIsNone(await parts.part("a/key", whole, 1))

    async def test_checksums(self) -> None:
        """Checksums of parts are the storage's to check and to keep."""
        case: Any = self
        for algorithm, kind in (("crc32c", "FULL_OBJECT"), ("sha256", "COMPOSITE")):
            upload = await self.uploads.begin_upload(
                "a/key", NO_ATTRIBUTES, algorithm, kind
            )
            data = os.urandom(5 * MB), b"end"
            parts = [
                await self.part(upload, number, each, algorithm)
                for number, each in enumerate(data, 1)
            ]
            made = await self.uploads.complete_upload(
                "a/key", upload, parts, NO_ATTRIBUTES, NO_DEMAND
            )
            case.assertEqual(made.size, 5 * MB + 3)
            if self.checks:
                case.assertTrue(await get(self.ufs, "a/key") == b"".join(data))
                self.kept(made, algorithm, kind, b"".join(data))

    def kept(self, made: Status, algorithm: str, kind: str, data: bytes) -> None:
        """What the storage says of the checksums of a whole."""
        case: Any = self
        case.assertEqual(made.attributes.checksum_type, kind)
        value = made.attributes.checksums[algorithm]
        if kind == "FULL_OBJECT":
            case.assertEqual(value, checksum(algorithm, data))
        else:
            case.assertTrue(value.endswith("-2"))

    async def test_wrong_checksum(self) -> None:
        """A part that is not what it is said to be is not taken."""
        upload = await self.uploads.begin_upload(
            "a/key", NO_ATTRIBUTES, "crc32c", "FULL_OBJECT"
        )
        wrong = checksum("crc32c", b"other")
        if not self.checks:
            raise SkipTest("it compares none")
        await self.fails(self.part(upload, 1, b"some", "crc32c", wrong), GatewayError)
        await self.uploads.abort_upload("a/key", upload)

    async def test_aborted(self) -> None:
        """An upload that was given up is gone, however often."""
        case: Any = self
        upload = await self.uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        part = await self.part(upload, 1, b"data")
        for _ in range(2):
            await self.uploads.abort_upload("a/key", upload)
        case.assertEqual(self.under_way(), [])
        await self.fails(self.part(upload, 1, b"data"), self.gone)
        await self.fails(
            self.uploads.complete_upload(
                "a/key", upload, [part], NO_ATTRIBUTES, NO_DEMAND
            ),
            self.gone,
        )
        case.assertEqual(self.ufs.room.taken, 0)

    async def test_another_part(self) -> None:
        """A part that is not the one meant makes no object."""
        upload = await self.uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        part = await self.part(upload, 1, b"data")
        other = attrs.evolve(part, etag="0" * 32)
        if not self.checks:
            raise SkipTest("it does not look")
        await self.fails(
            self.uploads.complete_upload(
                "a/key", upload, [other], NO_ATTRIBUTES, NO_DEMAND
            ),
            InvalidPart,
        )
        await self.uploads.abort_upload("a/key", upload)

    async def test_demand(self) -> None:
        """An object that must not be there prevents the completion."""
        case: Any = self
        upload = await self.uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        part = await self.part(upload, 1, b"new")
        await put(self.ufs, "a/key", b"old")
        await self.fails(
            self.uploads.complete_upload(
                "a/key", upload, [part], NO_ATTRIBUTES, Demand(absent=True)
            ),
            PreconditionFailed,
        )
        case.assertEqual(await get(self.ufs, "a/key"), b"old")
        await self.uploads.abort_upload("a/key", upload)

    async def test_large_part(self) -> None:
        """A part that is too large to be held goes another way, and leaves nothing."""
        case: Any = self
        ufs = self.mount(upload_memory="20MB", part_size="5MB")
        uploads = IStorageUploads(ufs)
        upload = await uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        data = os.urandom(11 * MB)
        part = await self.part(upload, 1, data, uploads=uploads)
        await uploads.complete_upload("a/key", upload, [part], NO_ATTRIBUTES, NO_DEMAND)
        case.assertTrue(await get(ufs, "a/key") == data)
        case.assertEqual(await keys_of(ufs, ListQuery(".alluxio-tw/")), [])
        case.assertEqual(ufs.room.taken, 0)

    async def test_given_up(self) -> None:
        """A part that is given up half way returns its room."""
        case: Any = self
        upload = await self.uploads.begin_upload("a/key", NO_ATTRIBUTES, "", "")
        placing = await self.uploads.place_part("a/key", upload, 1, 6 * MB)
        await placing.write(b"x" * MB)
        case.assertEqual(self.ufs.room.taken, 6 * MB)
        await placing.abort()
        await placing.abort()
        case.assertEqual(self.ufs.room.taken, 0)
        await self.fails(placing.write(b"x"), GatewayError)
        await self.uploads.abort_upload("a/key", upload)

    async def test_not_wanted(self) -> None:
        """Who wants none of it has parts as objects."""
        case: Any = self
        case.assertIsNone(IStorageUploads(self.mount(native_uploads="false"), None))


class MotoTests(UploadsTests, TestCase):
    def serve(self) -> Server:
        return servers.moto()

    # It compares no checksums, and makes one of its own of those of parts.
    checks = False
    # It tells of a part as if it were the object.
    tells_parts = False
    gone = StorageUnavailable


class VersitygwTests(UploadsTests, TestCase):
    def serve(self) -> Server:
        return servers.versitygw()
