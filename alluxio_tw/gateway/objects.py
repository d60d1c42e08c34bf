"""
What the operations on objects mean, over mounts, cache and storage.

Two ways to read.  L{Objects.glance} answers what can be said and sent without
waiting, which is most of what a hot object is asked; L{Objects.open} does the
rest.  Both give an L{IReading<alluxio_tw.iobjects.IReading>}, so the edge does
not care which it was.

Beyond 400 lines: whatever writes shares the turn that it takes, and what is known
of the object afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

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
from alluxio_tw.gateway.demands import Demands, look
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
from alluxio_tw.iparts import Part
from alluxio_tw.iufs import ListQuery
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
    _demands: Demands = attrs.field(factory=Demands, init=False)

    # --- reading ------------------------------------------------------------------

    def glance(self, bucket: str, key: str) -> IReading | None:
        """
        The current version, if it can be said without waiting.

        :raises NoSuchKey: it is known that there is none.
        :raises NoSuchBucket: no mount can have such a bucket.
        """
        place = self.mounts.resolve(bucket, key)
        if not place.policy.cached:
            reading: IReading | None = place.mount.ufs.glance(place.path)
            return reading
        try:
            status = self.current.glance(place)
        except NoSuchPath:
            # Which of bucket and key is missing is for the long way to say.
            return None
        if status is None:
            return None
        if place.policy.plain:
            # As below, in half the time.
            return CachedReading(status, "HIT", place, self.pages, self.current)
        return CachedReading.of(status, place, self.pages, self.current)

    @deferred
    async def open(self, bucket: str, key: str) -> IReading:
        """
        The current version, to be read; a lease.

        :raises NoSuchKey: there is none.
        :raises NoSuchBucket: nor is there such a bucket.
        """
        place = self._readable(bucket, key)
        try:
            _check_path(place)
            if not place.policy.cached:
                reading: IReading = await place.mount.ufs.open(place.path)
                return reading
            status, stale = await self.current.status(place)
        except NoSuchPath as error:
            if self.folder_objects and key.endswith("/"):
                return await self._folder(place, bucket, key)
            raise await self._missing(bucket, key) from error
        return CachedReading.of(status, place, self.pages, self.current, stale)

    def doubt(self, bucket: str, key: str, seconds: float) -> bool:
        """As L{Current.doubt}."""
        return self.current.doubt(self._readable(bucket, key), seconds)

    @deferred
    async def status(self, bucket: str, key: str) -> Status:
        """The current version; raises as L{open}."""
        place = self._readable(bucket, key)
        try:
            _check_path(place)
            if not place.policy.cached:
                status: Status = await place.mount.ufs.status(place.path)
                return status
            status, _ = await self.current.status(place)
            return status
        except NoSuchPath as error:
            raise await self._missing(bucket, key) from error

    @deferred
    async def part(
        self, bucket: str, key: str, status: Status, number: int
    ) -> Part | None:
        """As L{IParts.part}, where the storage can be asked; else L{None}."""
        place = self._readable(bucket, key)
        if place.mount.parts is None or status.attributes.part_sizes:
            return None
        found: Part | None = await place.mount.parts.part(place.path, status, number)
        return found

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
            await look(place, demand)
        ufs = place.mount.ufs
        if ufs.capabilities.etags:
            incoming.digests.spare_md5()
        coming = attrs.evolve(
            incoming.attributes, checksums=dict.fromkeys(incoming.digests.stored, "")
        )
        placing = await ufs.place(place.path, incoming.size, coming)
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
            return await self.write(
                place,
                demand,
                lambda: placing.commit(digests.md5_hex, attributes, demand),
                placing.abort,
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
        # The copy's ETag is to be the MD5 of its bytes; where the storage gives it
        # one of its own, it is what it is.
        same = _plain_md5(status.etag) or ufs.capabilities.etags
        if near and digests is None and same:
            try:
                return await self.write(
                    place,
                    demand,
                    lambda: ufs.copy(
                        origin.path, status, place.path, attributes, status.etag, demand
                    ),
                )
            except NoSuchPath as error:
                await self.mounts.bucket(target[0])
                raise await self._missing(*source) from error
        digests = digests or Digests(Promises())
        if ufs.capabilities.etags:
            digests.spare_md5()
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
            return await self.write(
                place,
                demand,
                lambda: placing.commit(digests.md5_hex, attributes, demand),
                placing.abort,
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
                return await self._described(place, status, attributes)
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
            gone = await self._demands.write(
                place, demand, lambda: _gone(place, demand)
            )
        except (UnsuitableKey, NoSuchPath):
            gone = False
        except PreconditionFailed:
            # Another version is there, or nothing, which is another matter.
            await look(place, demand)
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
            stretches = self.mounts.stretches(bucket, request.prefix)
        except NoSuchKey:
            # Our own names: nobody sees what is beneath.
            return Listing((), (), None)
        return await list_page(stretches, request, self.folder_objects)

    # --- within --------------------------------------------------------------------

    async def _folder(self, place: Place, bucket: str, key: str) -> IReading:
        """A folder that is no object of its own, but has something in it."""
        modified = 0
        if not self.mounts.children(bucket, key):
            found: Listing = await place.mount.ufs.list(ListQuery(place.path, limit=1))
            if not found.entries:
                raise await self._missing(bucket, key)
            modified = found.entries[0].modified
        status = folder_status(modified)
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
        if not place.path:
            raise UnsuitableKey("Another storage is mounted at this key.")
        if place.mount.read_only:
            raise StorageReadOnly()
        return place

    async def _missing(self, bucket: str, key: str) -> NoSuchKey:
        # No bucket is the greater want of the two.
        await self.mounts.bucket(bucket)
        return NoSuchKey(Key=key)

    async def _described(
        self, place: Place, status: Status, attributes: Attributes
    ) -> Status:
        # In its turn, too: a storage may have to write the object anew for it.
        ufs = place.mount.ufs
        return await self.write(
            place, NO_DEMAND, lambda: ufs.describe(place.path, status, attributes)
        )

    async def write(
        self,
        place: Place,
        demand: Demand,
        work: Callable[[], Deferred[Status]],
        undo: Callable[[], Deferred[None]] | None = None,
    ) -> Status:
        """
        Write, if what is demanded is so, and know what is current then.

        :param work: hands the demand to the storage, too.
        :param undo: what clears away a write that failed; until that is done no
            other begins.
        """

        async def written() -> Status:
            try:
                return await self.current.written(place, work())
            except BaseException:
                if undo is not None:
                    await _quietly(undo())
                raise

        return await self._demands.write(place, demand, written)


def _check_path(place: Place) -> None:
    """
    What a storage is mounted at is no object: to the storage, the empty path is
    the whole of it.

    :raises NoSuchPath: the place is that.
    """
    if not place.path:
        raise NoSuchPath()


async def _gone(place: Place, demand: Demand) -> bool:
    gone: bool = await place.mount.ufs.delete(place.path, demand)
    return gone


def _plain_md5(etag: str) -> bool:
    """An ETag that the copy may have as well: the MD5 of the bytes."""
    return len(etag) == 32 and not set(etag) - set("0123456789abcdef")


async def _quietly(work: Deferred[None]) -> None:
    """Wait for work that cleans up, whatever comes of it."""
    try:
        await work
    except Exception:
        log.failure("Cleaning up after a write failed")
