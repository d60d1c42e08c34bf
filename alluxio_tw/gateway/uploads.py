"""
Multipart uploads.

Where the storage has uploads of its own
(L{IStorageUploads<alluxio_tw.iuploads.IStorageUploads>}), an upload is one of those,
and its parts go straight into it.  Otherwise the parts are ordinary objects of the target's mount, under a name that no
listing shows, so that joining them moves no bytes where the storage can join.
What is known of an upload and of each part lies in the state store
(L{ledger<alluxio_tw.gateway.ledger>}) and survives a restart.

A part that is uploaded again lies beside the old one until the record names
it: whoever completes meanwhile gets one of the two, whole.

Completing is done in an order that can be repeated after a crash: the upload is
marked with the ETag it will have, the object appears, the records go, then what
is left of the parts.  Whoever finds an upload so marked and the object with that
ETag knows that only the tidying is left.

Beyond 400 lines: the operations of an upload share what may happen between them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import (
    EntityTooLarge,
    GatewayError,
    InvalidPart,
    InvalidRequest,
    NoSuchBucket,
    NoSuchPath,
    NoSuchUpload,
    Overloaded,
)
from alluxio_tw.gateway.demands import look
from alluxio_tw.gateway.joining import agree, check_claims, choose, joined
from alluxio_tw.gateway.ledger import (
    Part,
    all_parts,
    all_uploads,
    encode_upload,
    find_upload,
    part_name,
    upload_name,
)
from alluxio_tw.gateway.objects import HIDDEN, Objects
from alluxio_tw.gateway.receiving import Incoming, InMemory, check_size, receive
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    IReading,
    PartStatus,
    Status,
    Upload,
)
from alluxio_tw.istate import Held, IState
from alluxio_tw.iufs import IPlacing
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.namespace.mounts import Place
from alluxio_tw.s3 import checksums
from alluxio_tw.s3.batches import CompletedPart
from alluxio_tw.s3.folding import Fold
from alluxio_tw.s3.listing import ListRequest
from alluxio_tw.spans import Span

log = Logger()

Where = Callable[[str, str], Place | None]
"""Where a key of a bucket lies; L{None} if there is no such bucket."""

REMEMBERED = 1000
"""How many completed uploads are remembered: SDKs ask again within seconds."""


@attrs.frozen
class Uploads:
    """
    Uploads in progress.

    :ivar part_minimum: the least bytes of a part that is not the last.
    :ivar part_limit: the most bytes of a part.
    :ivar object_limit: the most bytes of all parts together.
    """

    objects: Objects
    _state: IState
    _clock: Callable[[], float]
    part_minimum: int = 5 << 20
    part_limit: int = 5 << 30
    object_limit: int = 50 << 40
    _completing: dict[str, DeferredLock] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _completed: dict[str, tuple[str, str, str, str]] = attrs.field(
        factory=dict, init=False, repr=False
    )

    @deferred
    async def create(
        self,
        bucket: str,
        key: str,
        owner: str,
        attributes: Attributes,
        algorithm: str = "",
        kind: str = "",
    ) -> Upload:
        """
        Begin one.

        :param algorithm: of the parts' checksums; empty for none.
        :param kind: C{"FULL_OBJECT"}, C{"COMPOSITE"} or empty.
        """
        place = await self.objects.writable(bucket, key)
        native = ""
        uploads = place.mount.uploads
        if uploads is not None:
            native = await uploads.begin_upload(place.path, attributes, algorithm, kind)
        else:
            # A key that the storage cannot hold is told now, not after gigabytes.
            placing = await place.mount.ufs.place(place.path, 0)
            await placing.abort()
        began = int(self._clock() * 1e9)
        upload = Upload(
            key,
            # Begins with the time, so that ids of one key sort by it.
            f"{began:016x}{secrets.token_hex(12)}",
            began,
            owner,
            attributes,
            algorithm,
            kind,
            native,
        )
        await self._state.put(upload_name(bucket, upload.id), encode_upload(upload))
        return upload

    @deferred
    async def get(self, bucket: str, key: str, id: str) -> Upload:
        """
        An upload.

        :raises NoSuchUpload: there is none of that id for that key.
        """
        _, upload, _ = await self._find(bucket, key, id)
        return upload

    @deferred
    async def put_part(
        self, bucket: str, key: str, id: str, number: int, incoming: Incoming
    ) -> PartStatus:
        """Receive a part; it replaces one of the same number."""
        place = await self.objects.writable(bucket, key)
        upload = await self.get(bucket, key, id)
        return await self._store(place, bucket, upload, number, incoming)

    @deferred
    async def copy_part(
        self,
        bucket: str,
        key: str,
        id: str,
        number: int,
        reading: IReading,
        span: Span,
    ) -> PartStatus:
        """Make a part of bytes of an object; the reading's lease stays the caller's."""
        place = await self.objects.writable(bucket, key)
        upload = await self.get(bucket, key, id)
        algorithm = upload.checksum_algorithm or checksums.DEFAULT
        digests = checksums.Digests(checksums.Promises(), also=(algorithm,))
        body = reading.body(span)
        try:
            incoming = Incoming(
                InMemory(body, self.objects.threads),
                span.length,
                digests,
                Attributes(),
            )
            return await self._store(place, bucket, upload, number, incoming)
        finally:
            body.close()

    async def _store(
        self,
        place: Place,
        bucket: str,
        upload: Upload,
        number: int,
        incoming: Incoming,
    ) -> PartStatus:
        check_size(incoming.size, self.part_limit)
        id = upload.id
        ufs = place.mount.ufs
        path = ""
        lease = place.mount.leases.take()
        try:
            uploads = native_uploads(place, upload)
            if uploads is None:
                path = f"{HIDDEN}/uploads/{id}/{number:05d}.{secrets.token_hex(4)}"
                placing = await ufs.place(path, incoming.size)
            else:
                incoming.digests.spare_md5()
                placing = await uploads.place_part(
                    place.path, upload.native, number, incoming.size
                )
            size, etag = await self._fill(placing, upload, incoming)
        finally:
            lease.end()
        part = Part(
            PartStatus(
                number,
                size,
                etag,
                int(self._clock() * 1e9),
                incoming.digests.checksums,
            ),
            path,
        )
        name = part_name(id, number)
        for _ in range(20):
            before: Held | None = await self._state.get(name)
            if await self._state.put(
                name, part.encode(), before.revision if before else ""
            ):
                break
        else:
            await _removed(place, path)
            raise Overloaded()
        if before is not None:
            await _removed(place, Part.decode(before).path)
        if await self._state.get(upload_name(bucket, id)) is None:
            # Aborted or completed while this part was on its way.
            await self._state.delete(name)
            await _removed(place, path)
            raise NoSuchUpload(UploadId=id)
        return part.status

    async def _fill(
        self, placing: IPlacing, upload: Upload, incoming: Incoming
    ) -> tuple[int, str]:
        """Write a part; its size and ETag."""
        try:
            size = await receive(
                incoming.body,
                placing,
                incoming.digests,
                self.objects.threads,
                incoming.size,
                self.part_limit,
            )
            incoming.digests.verify(incoming.trailers())
            digests = incoming.digests
            etag = digests.md5_hex
            algorithm = upload.checksum_algorithm
            told = NO_ATTRIBUTES
            if upload.native and algorithm in digests.checksums:
                checksum = {algorithm: digests.checksums[algorithm]}
                told = Attributes(checksums=checksum, checksum_type="FULL_OBJECT")
            made = await placing.commit(etag, told, NO_DEMAND)
            return size, made.etag if upload.native else etag
        except BaseException:
            await _gone(placing.abort())
            raise

    @deferred
    async def parts(
        self, bucket: str, key: str, id: str, after: int, limit: int
    ) -> tuple[Upload, list[PartStatus], bool]:
        """
        Parts of an upload in order, beginning after number C{after}.

        :result: the upload, at most C{limit} parts, whether there are more.
        """
        upload = await self.get(bucket, key, id)
        held = await self._state.list(
            f"part/{id}/", part_name(id, after) if after else "", limit + 1
        )
        found = [Part.decode(each).status for each in held]
        return upload, found[:limit], len(found) > limit

    @deferred
    async def abort(self, bucket: str, key: str, id: str) -> None:
        """Forget an upload and its parts."""
        place = await self.objects.writable(bucket, key)
        upload = await self.get(bucket, key, id)
        await self._state.delete(upload_name(bucket, id))
        await self._drop(place, upload)

    @deferred
    async def page(self, bucket: str, request: ListRequest) -> Fold[Upload]:
        """
        A page of the uploads in progress, by key, then by when they began, which
        is what their ids sort by.

        The state store keeps them by id, so a page reads them all: uploads in
        progress are few, and L{expire} sees to it.
        """
        await self.objects.mounts.bucket(bucket)
        request.judge()
        fold: Fold[Upload] = request.fold()
        found = [
            upload
            for upload in await all_uploads(self._state, bucket)
            if upload[1].key.startswith(request.prefix)
        ]
        for _, upload in sorted(found, key=lambda each: (each[1].key, each[1].id)):
            if not fold.take(upload, upload.id):
                break
        return fold

    @deferred
    async def abort_all(self, bucket: str) -> None:
        """Forget all uploads of a bucket that is gone."""
        for name, upload in await all_uploads(self._state, bucket):
            await self._end(name, upload)

    @deferred
    async def end_moved(self, when: int, before: Where, now: Where) -> None:
        """
        Forget the uploads whose parts do not lie where their key does any more.

        :param when: nanoseconds since the epoch: those that began before.
        :param before: where keys lay.
        :param now: where they lie.
        """
        for name, upload in await all_uploads(self._state):
            bucket = name.split("/", 2)[1]
            old, new = before(bucket, upload.key), now(bucket, upload.key)
            if old is None or upload.initiated >= when:
                continue
            if new is None or new.mount.id != old.mount.id:
                await self._state.delete(name)
                await self._drop(old, upload)

    async def _end(self, name: str, upload: Upload) -> None:
        bucket = name.split("/", 2)[1]
        await self._state.delete(name)
        try:
            place = self.objects.mounts.resolve(bucket, upload.key)
        except NoSuchBucket:
            # Its storage is mounted no more: there is nothing to remove the parts of.
            place = None
        await self._drop(place, upload)

    @deferred
    async def complete(
        self,
        bucket: str,
        key: str,
        id: str,
        claims: Sequence[CompletedPart],
        demand: Demand = NO_DEMAND,
        whole: tuple[str, str] | None = None,
        size: int | None = None,
        kind: str = "",
    ) -> Status:
        """
        Make the object of its parts.  Who asks again, having missed the answer, is
        told of the object as long as it is there and we remember.

        :param whole: the algorithm and the base64 of the checksum that the client
            says the whole object has.
        :param size: how large the client says it is.
        :param kind: of which kind the client says the checksums are.
        :raises InvalidPart: a part is not there, or not the one that is meant.
        :raises InvalidPartOrder: they are not in ascending order.
        :raises EntityTooSmall: one that is not the last is too small.
        """
        # One at a time: who asks meanwhile is told of what the first has made.
        lock = self._completing.setdefault(id, DeferredLock())
        await lock.acquire()
        try:
            return await self._complete_once_more(
                bucket, key, id, claims, demand, whole, size, kind
            )
        finally:
            lock.release()
            # Whoever waited may have been served by now, and have tidied up.
            if not (lock.locked or lock.waiting):
                if self._completing.get(id) is lock:
                    del self._completing[id]

    async def _complete_once_more(
        self,
        bucket: str,
        key: str,
        id: str,
        claims: Sequence[CompletedPart],
        demand: Demand,
        whole: tuple[str, str] | None,
        size: int | None,
        kind: str,
    ) -> Status:
        again = True
        while True:
            try:
                return await self._complete(
                    bucket, key, id, claims, demand, whole, size, kind
                )
            except NoSuchPath as error:
                # A part was uploaded again meanwhile, or somebody else completed.
                if not again:
                    raise InvalidPart(UploadId=id) from error
                again = False

    async def _complete(
        self,
        bucket: str,
        key: str,
        id: str,
        claims: Sequence[CompletedPart],
        demand: Demand,
        whole: tuple[str, str] | None,
        size: int | None,
        kind: str,
    ) -> Status:
        place = await self.objects.writable(bucket, key)
        try:
            held, upload, completing = await self._find(bucket, key, id)
        except NoSuchUpload:
            again = await self._again(place, bucket, key, id, claims)
            if again is None:
                raise
            return again
        if completing:
            done = await self._already(place, completing)
            if done is not None:
                await self._state.delete(upload_name(bucket, id))
                await self._tidy(place, id)
                return done
        chosen = choose(
            claims, upload, await all_parts(self._state, id), self.part_minimum
        )
        statuses = [part.status for part in chosen]
        etag = _whole_etag(upload, statuses)
        attributes = joined(upload, statuses)
        total = sum(each.size for each in statuses)
        if size is not None and size != total:
            raise InvalidRequest(
                "The provided 'x-amz-mp-object-size' header does not match what was computed."
            )
        if total > self.object_limit:
            raise EntityTooLarge(
                ProposedSize=str(total), MaxSizeAllowed=str(self.object_limit)
            )
        agree(attributes, whole)
        check_claims(claims, upload, kind)
        marked = await self._state.put(
            held.name, encode_upload(upload, etag), held.revision
        )
        if marked is None:
            raise NoSuchUpload(UploadId=id)
        if upload.native:
            made = await self._hand_on(place, upload, statuses, attributes, demand)
        else:
            paths = [part.path for part in chosen]
            made = await self._join(place, paths, etag, attributes, demand)
        # The storage may have an ETag of its own for it.
        self._completed[id] = (bucket, key, etag, made.etag)
        if len(self._completed) > REMEMBERED:
            del self._completed[next(iter(self._completed))]
        await self._state.delete(held.name)
        await self._tidy(place, id)
        return made

    async def _again(
        self,
        place: Place,
        bucket: str,
        key: str,
        id: str,
        claims: Sequence[CompletedPart],
    ) -> Status | None:
        """The object that was completed of these parts already, if it was."""
        done = self._completed.get(id)
        if done is None or done[:2] != (bucket, key):
            return None
        try:
            etag = checksums.multipart_etag(claim.etag for claim in claims)
        except ValueError:
            return None
        return await self._already(place, done[3]) if etag == done[2] else None

    async def _already(self, place: Place, etag: str) -> Status | None:
        try:
            status: Status = await place.mount.ufs.status(place.path)
        except NoSuchPath:
            return None
        return status if status.etag == etag else None

    async def _hand_on(
        self,
        place: Place,
        upload: Upload,
        parts: Sequence[PartStatus],
        attributes: Attributes,
        demand: Demand,
    ) -> Status:
        """Have the storage make the object of the parts that it has."""
        uploads = native_uploads(place, upload)
        assert uploads is not None
        name = upload.checksum_algorithm
        told = [
            attrs.evolve(
                part,
                checksums={k: v for k, v in part.checksums.items() if k == name},
            )
            for part in parts
        ]
        lease = place.mount.leases.take()
        try:
            return await self.objects.write(
                place,
                demand,
                lambda: uploads.complete_upload(
                    place.path, upload.native, told, attributes, demand
                ),
            )
        finally:
            lease.end()

    async def _join(
        self,
        place: Place,
        paths: list[str],
        etag: str,
        attributes: Attributes,
        demand: Demand,
    ) -> Status:
        ufs = place.mount.ufs
        if demand is not NO_DEMAND:
            # Once more when it is committed; now, before all is moved.
            await look(place, demand)
        if ufs.capabilities.joins:
            return await self.objects.write(
                place,
                demand,
                lambda: ufs.join(paths, place.path, attributes, etag, demand),
            )
        placing = await ufs.place(place.path, sum(attributes.part_sizes), attributes)
        try:
            for path in paths:
                reading = await ufs.open(path)
                body = InMemory(
                    reading.body(Span(0, reading.status.size)), self.objects.threads
                )
                reading.close()
                try:
                    while (piece := await body.read()) is not None:
                        await placing.write(piece)
                finally:
                    body.close()
            return await self.objects.write(
                place,
                demand,
                lambda: placing.commit(etag, attributes, demand),
                placing.abort,
            )
        except BaseException:
            await _gone(placing.abort())
            raise

    async def _drop(self, place: Place | None, upload: Upload) -> None:
        """Nothing is to come of an upload."""
        if place is not None and upload.native and place.mount.uploads is not None:
            await _gone(place.mount.uploads.abort_upload(place.path, upload.native))
        await self._tidy(place, upload.id)

    async def _tidy(self, place: Place | None, id: str) -> None:
        for part in (await all_parts(self._state, id)).values():
            if place is not None:
                await _removed(place, part.path)
            await self._state.delete(part_name(id, part.status.number))

    async def _find(self, bucket: str, key: str, id: str) -> tuple[Held, Upload, str]:
        await self.objects.mounts.bucket(bucket)
        return await find_upload(self._state, bucket, key, id)

    @deferred
    async def expire(self, age: float) -> int:
        """Abort uploads that began more than C{age} seconds ago; how many."""
        limit = int((self._clock() - age) * 1e9)
        ended = 0
        for name, upload in await all_uploads(self._state):
            if upload.initiated < limit:
                try:
                    await self._end(name, upload)
                except GatewayError:
                    # Perhaps its mount is gone; the others are not kept for it.
                    log.failure("An abandoned upload could not be ended")
                ended += 1
        return ended


def native_uploads(place: Place, upload: Upload) -> IStorageUploads | None:
    """
    The storage's uploads, if this is one of them.

    :raises NoSuchUpload: it was, and the storage is mounted otherwise now.
    """
    if not upload.native:
        return None
    if place.mount.uploads is None:
        raise NoSuchUpload(UploadId=upload.id)
    return place.mount.uploads


def _whole_etag(upload: Upload, parts: Sequence[PartStatus]) -> str:
    """The ETag that the object will have; of a storage's own, if it can be said."""
    try:
        return checksums.multipart_etag(each.etag for each in parts)
    except ValueError:
        if not upload.native:
            raise
        return ""


async def _removed(place: Place, path: str) -> None:
    """Remove a part that is an object; what is left is swept."""
    if path:
        await _gone(place.mount.ufs.delete(path, NO_DEMAND))


async def _gone(work: Deferred[Any]) -> None:
    """Wait for a removal of what nobody needs; what is left is swept."""
    try:
        await work
    except Exception:
        return
