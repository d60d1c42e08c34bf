"""
Multipart uploads of clients, handed on to the storage part by part.

A part is one request, so it is held in memory until it is answered: it may have to
be sent again, and nothing is sent before its digests were compared.  Parts too large
for that are put beside the data first, and copied into the upload by the storage.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred, quietly
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    PartStatus,
    Status,
)
from alluxio_tw.iufs import IPlacing
from alluxio_tw.iuploads import IStorageUploads
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.s3_attributes import checksum_header
from alluxio_tw.ufs.s3_bucket import S3Bucket
from alluxio_tw.ufs.s3_listing import HIDDEN
from alluxio_tw.ufs.s3_multipart import Multipart
from alluxio_tw.ufs.s3_placing import Held, Room, S3Placing

HELD_MOST = 64 << 20
"""Bytes of a part that is held."""


@implementer(IStorageUploads)
@attrs.frozen(eq=False)
class S3Uploads:
    """
    Those of one mount.

    :ivar whole: the whole key of a path.
    """

    _bucket: S3Bucket
    _room: Room = attrs.field(repr=False)
    _whole: Callable[[str], str] = attrs.field(repr=False)

    @deferred
    async def begin_upload(
        self, path: str, attributes: Attributes, algorithm: str, kind: str
    ) -> str:
        upload = await Multipart.create(
            self._bucket.wire, self._whole(path), attributes, algorithm, kind
        )
        return upload.id

    @deferred
    async def place_part(
        self, path: str, upload: str, number: int, size: int | None
    ) -> IPlacing:
        there = self._upload(path, upload)
        if size is not None and size <= min(HELD_MOST, self._room.total // 4):
            return _HeldPart(self._bucket, self._room, there, number, size)
        name = f"{HIDDEN}/uploads/s3/{secrets.token_hex(16)}"
        key = self._bucket.given.root + name
        placing = S3Placing(self._bucket, self._room, key, True, size)
        return _StagedPart(self._bucket, placing, there, number, key)

    @deferred
    async def complete_upload(
        self,
        path: str,
        upload: str,
        parts: Sequence[PartStatus],
        attributes: Attributes,
        demand: Demand,
    ) -> Status:
        there = self._upload(path, upload)
        condition = await self._bucket.condition(there.key, demand)
        for part in parts:
            there.has(part.number, part.etag, part.checksums)
        etag = await there.complete(condition)
        total = sum(part.size for part in parts)
        return await self._bucket.made(there.key, etag, total, attributes)

    @deferred
    async def abort_upload(self, path: str, upload: str) -> None:
        await self._upload(path, upload).abort()

    def _upload(self, path: str, upload: str) -> Multipart:
        return Multipart(self._bucket.wire, self._whole(path), upload)


@implementer(IPlacing)
@attrs.define(eq=False)
class _HeldPart:
    """
    A part that is held until it is answered.
    """

    _bucket: S3Bucket
    _room: Room
    _upload: Multipart
    _number: int
    _size: int
    _held: Held = attrs.field(factory=Held, init=False, repr=False)
    _taken: int = attrs.field(default=0, init=False)
    _work: Deferred[str] | None = attrs.field(default=None, init=False, repr=False)
    _over: bool = attrs.field(default=False, init=False)

    @deferred
    async def write(self, data: Piece) -> None:
        if isinstance(data, FileSpan):
            data = await self._bucket.wire.threads.run(translated(read_span), data)
        assert not isinstance(data, FileSpan)
        if not self._taken and not self._is_over():
            await self._room.take(self._size)
            self._taken = self._size
        if self._is_over():
            self._let_go()
            raise StorageUnavailable("This write was given up.")
        if self._held.size + len(data) > self._size:
            raise ValueError("There is more than was promised.")
        self._held.add(data)

    def _is_over(self) -> bool:
        return self._over  # may change with every await

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        size = self._held.size
        headers = checksum_header(attributes)
        sending = self._upload.part(self._number, self._held.settle(), headers)
        self._work = work = Deferred.fromCoroutine(sending)
        try:
            made = await work
        finally:
            self._over = True
            self._let_go()
        return self._bucket.unseen(made, size, attributes)

    @deferred
    async def abort(self) -> None:
        self._over = True
        if self._work is not None:
            self._work.cancel()
        self._let_go()

    def _let_go(self) -> None:
        self._held = Held()
        taken, self._taken = self._taken, 0
        if taken:
            self._room.give(taken)


@implementer(IPlacing)
@attrs.define(eq=False)
class _StagedPart:
    """
    A part that is an object first.
    """

    _bucket: S3Bucket
    _placing: S3Placing
    _upload: Multipart
    _number: int
    _key: str

    def write(self, data: Piece) -> Deferred[None]:
        return self._placing.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        placed = await self._placing.commit("", NO_ATTRIBUTES, NO_DEMAND)
        try:
            made = await self._upload.copy_part(self._number, self._key, placed.etag)
        finally:
            await quietly(self._bucket.delete(self._key, NO_DEMAND))
        return self._bucket.unseen(made, placed.size, attributes)

    def abort(self) -> Deferred[None]:
        return self._placing.abort()
