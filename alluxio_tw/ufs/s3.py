"""
The driver of S3: a bucket, or what lies beneath a prefix of one.

The version of an object is its ETag; every read names it, so that pages of two
versions never mix.  What S3 cannot do otherwise than it does:

  - an object is answered with the ETag that the storage gives it, not with the
    one its writer computed; of a multipart upload to the storage that differs;
  - to replace what is said about an object it is copied onto itself, which gives
    it a new modification time; tags alone are replaced in place;
  - the sizes of an upload's parts are not kept; checksums are as far as the
    storage keeps them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, TimeoutError
from zope.interface import implementer

from alluxio_tw.deferreds import deferred, quietly
from alluxio_tw.errors import NoSuchPath, ObjectChanged, UnsuitableKey
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iparts import IParts
from alluxio_tw.ipassage import IPassage
from alluxio_tw.iufs import (
    Capabilities,
    IPlacing,
    IUnderFileSystem,
    ListQuery,
    Surroundings,
)
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.spans import Span
from alluxio_tw.ufs.bytesbody import BytesBody
from alluxio_tw.ufs.demands import demanded
from alluxio_tw.ufs.s3_address import Address
from alluxio_tw.ufs.s3_bodies import Arrival, Check, RemoteBody
from alluxio_tw.ufs.s3_bucket import S3Bucket
from alluxio_tw.ufs.s3_credentials import configured_region, keys_for
from alluxio_tw.ufs.s3_folders import S3Folders
from alluxio_tw.ufs.s3_listing import HIDDEN, S3Listing
from alluxio_tw.ufs.s3_multipart import NOTES, noted_at, sweep_note
from alluxio_tw.ufs.s3_options import PART_LEAST, S3Options, read_options
from alluxio_tw.ufs.s3_parts import S3Parts
from alluxio_tw.ufs.s3_passage import S3Passage
from alluxio_tw.ufs.s3_placing import Room, S3Placing
from alluxio_tw.ufs.s3_pool import Pool
from alluxio_tw.ufs.s3_tls import tls_policy
from alluxio_tw.ufs.s3_uploads import S3Uploads
from alluxio_tw.ufs.s3_wire import Asking, Wire

_CLOSING = 5.0


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{s3://bucket} or C{s3://bucket/prefix}.

    Options: see L{S3Options}, whose fields are their names but for
    C{unsigned_payload}.

    :raises WrongConfiguration: the URI or an option cannot be used.
    """
    given = read_options(uri, options)
    reactor = cast("Any", around.reactor)
    pool = Pool(
        reactor,
        tls_policy(given.verify, given.ca_file),
        given.connect_timeout,
        given.keep_alive,
        given.connections * 2,
    )
    wire = Wire(
        Address(given.bucket, given.endpoint, given.style, given.region),
        pool,
        keys_for(given, around.reactor, around.threads),
        around.reactor,
        around.threads,
        random.random,
        lambda: configured_region(given.profile, given.credentials_file),
        connections=given.connections,
        timeout=given.timeout,
        retries=given.retries,
        retry_time=given.retry_time,
        unsigned=given.unsigned,
    )
    return S3UFS(wire, given, around.buckets)


@implementer(IReading)
@attrs.frozen(eq=False)
class _Reading:
    _ufs: S3UFS
    _path: str
    status: Status
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        return self._ufs.body(self._path, self.status, span)

    def close(self) -> None:
        pass


@implementer(IUnderFileSystem)
@attrs.define(eq=False, repr=False)
class S3UFS:
    """
    A bucket.
    """

    _wire: Wire
    _given: S3Options
    _buckets: bool = False
    capabilities: Capabilities = attrs.field(init=False)
    room: Room = attrs.field(init=False)
    _bucket: S3Bucket = attrs.field(init=False)
    _listing: S3Listing = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.capabilities = Capabilities(
            attributes=True,
            conditional=self._given.conditional,
            copies=True,
            joins=True,
            folders=True,
            key_limits=self._given.key_limits,
            etags=True,
            parallel=self._given.parallel,
        )
        self.room = Room(self._given.upload_memory)
        self._bucket = S3Bucket(self._wire, self._given)
        self._listing = S3Listing(self._wire, self._given.root, self._buckets)

    def __repr__(self) -> str:
        return f"<S3 {self._given.bucket}/{self._given.root}>"

    # Reading

    def glance(self, path: str) -> IReading | None:
        return None

    @deferred
    async def status(self, path: str) -> Status:
        return await self._bucket.status(self._key(path))

    @deferred
    async def open(self, path: str) -> IReading:
        return _Reading(self, path, await self._bucket.status(self._key(path)))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        if not span.length:
            return BytesBody(memoryview(b""))
        key = self._key(path)
        arrival, check = await self._bucket.get(key, status, span, 0)
        return self._body(key, status, span, arrival, check)

    def body(self, path: str, status: Status, span: Span) -> IBody:
        """A body whose request waits for the first read."""
        if not span.length:
            return BytesBody(memoryview(b""))
        return self._body(self._key(path), status, span)

    def _body(
        self,
        key: str,
        status: Status,
        span: Span,
        arrival: Arrival | None = None,
        check: Check | None = None,
    ) -> IBody:
        def start(offset: int) -> Deferred[tuple[Arrival, Check | None]]:
            return Deferred.fromCoroutine(self._bucket.get(key, status, span, offset))

        return RemoteBody(
            span.length, start, self._wire.pause, self._given.retries, arrival, check
        )

    # Writing

    def __conform__(self, interface: object) -> object:
        """What it is beside a storage."""
        if interface is IStorageUploads and self._given.native_uploads:
            return S3Uploads(self._bucket, self.room, self._writable)
        if interface is IParts:
            return S3Parts(self._wire, self._key)
        if interface is IPassage and self._given.presigned:
            return S3Passage(self._wire, self._writable)
        return None

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        return S3Placing(
            self._bucket,
            self.room,
            self._writable(path),
            path.startswith(HIDDEN),
            size,
            attributes or NO_ATTRIBUTES,
        )

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        key = self._key(path)
        current = await self._bucket.status(key)
        if current.version != status.version:
            raise ObjectChanged()
        return await self._bucket.change(key, current, attributes)

    @deferred
    async def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        from_key, to_key = self._key(source), self._writable(target)
        condition = await self._bucket.condition(to_key, demand)
        # Not every server judges a condition on the source of a copy.
        await self._bucket.same_version(from_key, status)
        made = await self._bucket.copied(
            from_key, status, to_key, attributes, condition
        )
        return await self._bucket.made(to_key, made, status.size, attributes)

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        key = self._writable(target)
        condition = await self._bucket.condition(key, demand)
        statuses = [await self._bucket.status(self._key(each), {}) for each in sources]
        total = sum(each.size for each in statuses)
        small = any(each.size < PART_LEAST for each in statuses[:-1])
        if small or not total:
            return await self._streamed(sources, statuses, target, attributes, demand)
        parts: list[tuple[str, str, Span | None]] = [
            (self._key(source), status.version, None)
            for source, status in zip(sources, statuses, strict=True)
            if status.size
        ]
        made = await self._bucket.joined(parts, key, attributes, condition)
        return await self._bucket.made(key, made, total, attributes)

    async def _streamed(
        self,
        sources: Sequence[str],
        statuses: Sequence[Status],
        target: str,
        attributes: Attributes,
        demand: Demand,
    ) -> Status:
        """Join what is too small to be parts: through us."""
        total = sum(each.size for each in statuses)
        placing = await self.place(target, total, attributes)
        try:
            for source, status in zip(sources, statuses, strict=True):
                body = self.body(source, status, Span(0, status.size))
                try:
                    while (piece := await body.read()) is not None:
                        await placing.write(piece)
                finally:
                    body.close()
            return await placing.commit("", attributes, demand)
        except BaseException:
            await quietly(placing.abort())
            raise

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        try:
            key = self._key(path)
        except NoSuchPath:
            demanded(demand, None)
            return False
        return await self._bucket.delete(key, demand)

    # Listing and folders

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        return await self._listing.list(query)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        return await self._folders.all()

    @deferred
    async def make_folder(self, name: str) -> None:
        await self._folders.make(name)

    @deferred
    async def remove_folder(self, name: str) -> None:
        await self._folders.remove(name)

    @property
    def _folders(self) -> S3Folders:
        return S3Folders(self._wire, self._listing)

    # Tending

    @deferred
    async def check(self) -> None:
        # Not HEAD of the bucket: who is let into a prefix only may list that.
        query = (("list-type", "2"), ("max-keys", "1"), ("prefix", self._given.root))
        await self._wire.call(Asking(b"GET", None, query))

    @deferred
    async def sweep(self, older: float) -> int:
        limit = self._wire.clock.seconds() - older
        swept = 0
        after: str | None = ""
        while after is not None:
            page = await self._listing.list(ListQuery(NOTES, after))
            for entry in page.entries:
                note = self._given.root + entry.key
                began = noted_at(note)
                if note not in self._bucket.live and (began is None or began <= limit):
                    swept += await sweep_note(self._wire, note)
            after = page.resume
        return swept

    @deferred
    async def close(self) -> None:
        closed = self._wire.pool.close()
        try:
            await closed.addTimeout(_CLOSING, self._wire.clock)
        except TimeoutError:
            return

    # Within

    def _key(self, path: str) -> str:
        """
        The whole key of a path.

        :raises NoSuchPath: no object can have it.
        """
        try:
            return self._writable(path)
        except UnsuitableKey as error:
            raise NoSuchPath() from error

    def _writable(self, path: str) -> str:
        """
        The whole key of a path.

        Dot segments are refused: a server that has folders beneath, or a proxy on
        the way, would leave the mount's prefix by them.

        :raises UnsuitableKey: no object can have it.
        """
        key = self._given.root + path
        try:
            length = len(key.encode())
        except UnicodeEncodeError as error:
            raise UnsuitableKey() from error
        if not path or length > 1024 or "\0" in path:
            raise UnsuitableKey()
        if "." in path and not {".", ".."}.isdisjoint(path.split("/")):
            raise UnsuitableKey()
        return key
