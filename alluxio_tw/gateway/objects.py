"""
What the operations on objects mean, over mounts, cache and storage.

Two ways to read.  L{Objects.glance} answers what can be said and sent without
waiting, which is most of what a hot object is asked; L{Objects.open} does the
rest.  Both give an L{IReading<alluxio_tw.iobjects.IReading>}, so the edge does
not care which it was.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    BackendError,
    EntityTooLarge,
    NoSuchKey,
    NoSuchPath,
    ObjectChanged,
    PreconditionFailed,
    StorageReadOnly,
    UnsuitableKey,
)
from alluxio_tw.gateway.current import Current
from alluxio_tw.gateway.folders import folder_status
from alluxio_tw.gateway.listings import list_page
from alluxio_tw.gateway.readings import CachedReading
from alluxio_tw.gateway.receiving import Incoming, InMemory, check_size, receive
from alluxio_tw.iobjects import (
    NO_DEMAND,
    Attributes,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import IPlacing, ListQuery
from alluxio_tw.namespace.mounts import MountTable, Place
from alluxio_tw.s3.checksums import Digests, Promises
from alluxio_tw.s3.listing import ListRequest
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads

log = Logger()

HIDDEN = ".alluxio-tw"
"""What keys of ours begin with, in the storage; no user's key may."""


@attrs.define
class Objects:
    """
    Objects by bucket and key.

    :ivar put_limit: the most bytes that one PUT may carry.
    :ivar folder_objects: show folders as objects of no bytes.
    """

    mounts: MountTable
    current: Current
    pages: PageCache
    threads: IThreads
    put_limit: int = 5 << 30
    folder_objects: bool = False

    # --- reading ------------------------------------------------------------------

    def glance(self, bucket: str, key: str) -> IReading | None:
        """
        The current version, if it can be said without waiting.

        :raises NoSuchKey: it is known that there is none.
        :raises NoSuchBucket: no mount can have such a bucket.
        """
        place = self.mounts.resolve(bucket, key)
        if not place.mount.policy.cached:
            reading: IReading | None = place.mount.ufs.glance(place.path)
            return reading
        try:
            status = self.current.glance(place)
        except NoSuchPath:
            # Which of bucket and key is missing is for the long way to say.
            return None
        if status is None:
            return None
        return CachedReading(status, "HIT", place, self.pages, self.current)

    @deferred
    async def open(self, bucket: str, key: str) -> IReading:
        """
        The current version, to be read; a lease.

        :raises NoSuchKey: there is none.
        :raises NoSuchBucket: nor is there such a bucket.
        """
        place = self._readable(bucket, key)
        try:
            if not place.mount.policy.cached:
                reading: IReading = await place.mount.ufs.open(place.path)
                return reading
            status, stale = await self.current.status(place)
        except NoSuchPath as error:
            if self.folder_objects and key.endswith("/"):
                return await self._folder(place, bucket, key)
            raise await self._missing(bucket, key) from error
        return CachedReading(
            status, "STALE" if stale else "HIT", place, self.pages, self.current
        )

    @deferred
    async def status(self, bucket: str, key: str) -> Status:
        """The current version; raises as L{open}."""
        place = self._readable(bucket, key)
        try:
            if not place.mount.policy.cached:
                status: Status = await place.mount.ufs.status(place.path)
                return status
            status, _ = await self.current.status(place)
            return status
        except NoSuchPath as error:
            raise await self._missing(bucket, key) from error

    # --- writing ------------------------------------------------------------------

    @deferred
    async def put(
        self, bucket: str, key: str, incoming: Incoming, demand: Demand = NO_DEMAND
    ) -> Status:
        """
        Make what comes in the current object, or leave everything as it was.

        :raises PreconditionFailed: C{demand} does not hold.
        :raises BadDigest: the bytes are not what was promised; nor are those of
            the other errors of L{Digests.verify} and L{receive}.
        """
        place = await self.writable(bucket, key)
        check_size(incoming.size, self.put_limit)
        if demand is not NO_DEMAND:
            # Once more when it is committed; now, so that an upload that is
            # refused costs no body bytes.
            await self._demand(place, demand)
        placing = await place.mount.ufs.place(
            place.path, incoming.size, incoming.attributes
        )
        try:
            await receive(
                incoming.body,
                placing,
                incoming.digests,
                self.threads,
                incoming.size,
                self.put_limit,
            )
            digests = incoming.digests
            digests.verify(incoming.trailers())
            checksums = digests.checksums
            attributes = attrs.evolve(
                incoming.attributes,
                checksums=checksums,
                checksum_type="FULL_OBJECT" if checksums else "",
            )
            return await self._commit(
                place, placing, digests.md5_hex, attributes, demand
            )
        except BaseException as error:
            await _quietly(placing.abort())
            if isinstance(error, NoSuchPath):
                # Meanwhile the bucket has gone, most likely.
                await self.mounts.bucket(bucket)
            raise

    @deferred
    async def copy(
        self,
        source: tuple[str, str],
        reading: IReading,
        target: tuple[str, str],
        attributes: Attributes,
        digests: Digests | None,
        demand: Demand = NO_DEMAND,
    ) -> Status:
        """
        Copy a version of an object, within a storage if it can, else through us.

        :param reading: of the source; its lease stays the caller's.
        :param digests: checksums to compute on the way; L{None} keeps those that
            C{attributes} carry.
        """
        status = reading.status
        if status.size > self.put_limit:
            raise EntityTooLarge(
                "The specified copy source is larger than the maximum allowable "
                f"size for a copy source: {self.put_limit}"
            )
        origin = self._readable(*source)
        place = await self.writable(*target)
        ufs = place.mount.ufs
        near = origin.mount is place.mount and ufs.capabilities.copies
        if near and digests is None and _plain_md5(status.etag):
            try:
                return await self.current.written(
                    place,
                    ufs.copy(
                        origin.path, status, place.path, attributes, status.etag, demand
                    ),
                )
            except NoSuchPath as error:
                await self.mounts.bucket(target[0])
                raise await self._missing(*source) from error
        digests = digests or Digests(Promises())
        placing = await ufs.place(place.path, status.size, attributes)
        body = reading.body(Span(0, status.size))
        try:
            await receive(
                InMemory(body, self.threads),
                placing,
                digests,
                self.threads,
                status.size,
                self.put_limit,
            )
            if digests.checksums:
                attributes = attrs.evolve(
                    attributes, checksums=digests.checksums, checksum_type="FULL_OBJECT"
                )
            return await self._commit(
                place, placing, digests.md5_hex, attributes, demand
            )
        except BaseException as error:
            await _quietly(placing.abort())
            if isinstance(error, NoSuchPath):
                await self.mounts.bucket(target[0])
            raise
        finally:
            body.close()

    @deferred
    async def describe(self, bucket: str, key: str, attributes: Attributes) -> Status:
        """
        Replace the attributes of the current version, such as its tags.
        """
        place = await self.writable(bucket, key)
        for attempt in (0, 1):
            try:
                status: Status = await place.mount.ufs.status(place.path)
                return await self.current.written(
                    place, place.mount.ufs.describe(place.path, status, attributes)
                )
            except NoSuchPath as error:
                raise await self._missing(bucket, key) from error
            except ObjectChanged:
                if attempt:
                    raise
        raise AssertionError("not reached")

    @deferred
    async def delete(self, bucket: str, key: str, demand: Demand = NO_DEMAND) -> bool:
        """
        Delete; L{True} if there was something.

        :raises PreconditionFailed: C{demand} does not hold.
        :raises NoSuchKey: it demands a version, and there is no object.
        """
        try:
            place = await self.writable(bucket, key)
        except UnsuitableKey:
            # What cannot be there, or nobody sees, is not there.
            return False
        try:
            gone: bool = await place.mount.ufs.delete(place.path, demand)
        except (UnsuitableKey, NoSuchPath):
            gone = False
        except PreconditionFailed:
            # Another version is there, or nothing, which is another matter.
            await self._demand(place, demand)
            raise
        except BackendError:
            self.current.wrote(place, None)
            raise
        self.current.wrote(place, None)
        if not gone and demand.match is not None:
            raise NoSuchKey(Key=key)
        return gone

    # --- listing ------------------------------------------------------------------

    @deferred
    async def list(self, bucket: str, request: ListRequest) -> Listing:
        """
        A page of a listing.

        :raises NoSuchBucket: there is no such bucket.
        """
        await self.mounts.bucket(bucket)
        request.judge()
        if not request.limit:
            return Listing((), (), None)
        try:
            place = self.mounts.resolve(bucket, request.prefix)
        except NoSuchKey:
            # Our own names: nobody sees what is beneath.
            return Listing((), (), None)
        return await list_page(place, request, self.folder_objects)

    # --- within --------------------------------------------------------------------

    async def _folder(self, place: Place, bucket: str, key: str) -> IReading:
        """A folder that is no object of its own, but has something in it."""
        found: Listing = await place.mount.ufs.list(ListQuery(place.path, limit=1))
        if not found.entries:
            raise await self._missing(bucket, key)
        status = folder_status(found.entries[0].modified)
        return CachedReading(status, "BYPASS", place, self.pages, self.current)

    def _readable(self, bucket: str, key: str) -> Place:
        if key.startswith(HIDDEN):
            raise NoSuchKey(Key=key)
        place: Place = self.mounts.resolve(bucket, key)
        return place

    async def writable(self, bucket: str, key: str) -> Place:
        """
        Where to write an object.

        :raises NoSuchBucket: there is no such bucket.
        :raises StorageReadOnly: it takes no writes.
        :raises UnsuitableKey: the name is one of our own.
        """
        await self.mounts.bucket(bucket)
        try:
            place: Place = self.mounts.resolve(bucket, key)
        except NoSuchKey as error:
            raise UnsuitableKey(
                f"Names that begin with {HIDDEN} are kept for the gateway."
            ) from error
        if place.mount.read_only:
            raise StorageReadOnly()
        return place

    async def _missing(self, bucket: str, key: str) -> NoSuchKey:
        # No bucket is the greater want of the two.
        await self.mounts.bucket(bucket)
        return NoSuchKey(Key=key)

    async def _commit(
        self,
        place: Place,
        placing: IPlacing,
        etag: str,
        attributes: Attributes,
        demand: Demand,
    ) -> Status:
        if demand is not NO_DEMAND and not place.mount.ufs.capabilities.conditional:
            await self._demand(place, demand)
        return await self.current.written(
            place, placing.commit(etag, attributes, demand)
        )

    async def _demand(self, place: Place, demand: Demand) -> None:
        """Check what a storage cannot, as near to the write as we can."""
        try:
            status: Status | None = await place.mount.ufs.status(place.path)
        except NoSuchPath:
            status = None
        check_demand(demand, status)


def check_demand(demand: Demand, status: Status | None) -> None:
    """
    Does a demand hold of what is there?

    :raises PreconditionFailed: it does not.
    :raises NoSuchKey: it demands a version of an object that is not there.
    """
    if demand.absent and status is not None:
        raise PreconditionFailed(Condition="If-None-Match")
    if demand.match is not None:
        if status is None:
            raise NoSuchKey()
        if "*" not in demand.match and status.etag not in demand.match:
            raise PreconditionFailed(Condition="If-Match")


def _plain_md5(etag: str) -> bool:
    """An ETag that the copy may have as well: the MD5 of the bytes."""
    return len(etag) == 32 and not set(etag) - set("0123456789abcdef")


async def _quietly(work: Deferred[None]) -> None:
    """Wait for work that cleans up, whatever comes of it."""
    try:
        await work
    except Exception:
        log.failure("Cleaning up after a write failed")
