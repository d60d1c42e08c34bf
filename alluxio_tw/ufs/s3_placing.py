"""
Writing an object to S3: whole when it is small, in parts beside each other when
it is not.

Bytes are held until a part is full, and sent when the next byte comes; so an
object of exactly one part's size is still put whole.  What all writers hold
together is bounded: each takes room for a part before its first byte, and gives
it back when the part is answered.  A writer never needs more than one part's
room to go on, so they cannot wait for each other in a circle.

S3 wants to be told an object's attributes when its upload begins, and they are
certain only when it ends: what C{place} was told is sent, and what turns out to
be otherwise is corrected by a copy onto itself.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import EntityTooLarge, StorageUnavailable
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import NO_ATTRIBUTES, Attributes, Demand, Status
from alluxio_tw.iufs import IPlacing
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.s3_bucket import S3Bucket
from alluxio_tw.ufs.s3_multipart import FULL, Multipart
from alluxio_tw.ufs.s3_options import PARTS_MOST

JOINING = frozenset(("crc32", "crc32c", "crc64nvme"))
"""The checksums that a storage can tell of a whole from those of its parts."""

_SMALL = 16 << 10
_TAIL = 64 << 10


@attrs.define(eq=False)
class Room:
    """
    So many bytes, for everybody together; first come, first served.
    """

    total: int
    _free: int = attrs.field(init=False)
    _waiting: deque[tuple[int, Deferred[None]]] = attrs.field(
        factory=deque, init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self._free = self.total

    @property
    def taken(self) -> int:
        """How many bytes are in use."""
        return self.total - self._free

    def take(self, amount: int) -> Deferred[None]:
        """
        Wait for room.

        :param amount: no more than the total.
        """
        if not self._waiting and amount <= self._free:
            self._free -= amount
            return succeed(None)
        waiter: Deferred[None] = Deferred(self._leave)
        self._waiting.append((amount, waiter))
        return waiter

    def give(self, amount: int) -> None:
        """Give room back."""
        self._free += amount
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, waiter = self._waiting.popleft()
            self._free -= wanted
            waiter.callback(None)

    def _leave(self, waiter: Deferred[None]) -> None:
        self._waiting = deque(each for each in self._waiting if each[1] is not waiter)
        # Whoever stood behind may be content with less.
        self.give(0)


@attrs.define(eq=False)
class Held:
    """
    The bytes of a part, gathered.  Small pieces are joined: a writer that sends
    byte by byte must not cost us an object for each.
    """

    size: int = 0
    pieces: list[bytes | memoryview] = attrs.field(factory=list, repr=False)
    _tail: bytearray = attrs.field(factory=bytearray, repr=False)

    def add(self, data: bytes | memoryview) -> None:
        """Append."""
        self.size += len(data)
        if len(data) < _SMALL:
            self._tail += data
            if len(self._tail) >= _TAIL:
                self.settle()
            return
        self.settle()
        self.pieces.append(data)

    def settle(self) -> list[bytes | memoryview]:
        """All pieces."""
        if self._tail:
            self.pieces.append(bytes(self._tail))
            self._tail = bytearray()
        return self.pieces


@implementer(IPlacing)
@attrs.define(eq=False)
class S3Placing:
    """
    One object on its way.

    :ivar own: it is the gateway's own, about which nobody will ask.
    :ivar size: in bytes, if it was promised.
    :ivar told: its attributes, as far as they were known at the beginning.
    """

    _bucket: S3Bucket
    _room: Room
    _key: str
    _own: bool
    _size: int | None
    _told: Attributes = NO_ATTRIBUTES
    _held: Held = attrs.field(factory=Held, init=False, repr=False)
    _taken: int = attrs.field(default=0, init=False)
    _sent: int = attrs.field(default=0, init=False)
    _number: int = attrs.field(default=0, init=False)
    _upload: Multipart | None = attrs.field(default=None, init=False)
    _beginning: Deferred[Multipart] | None = attrs.field(
        default=None, init=False, repr=False
    )
    _flying: dict[int, Deferred[Any]] = attrs.field(
        factory=dict, init=False, repr=False
    )
    _landing: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _error: Failure | None = attrs.field(default=None, init=False, repr=False)
    _over: bool = attrs.field(default=False, init=False)

    @deferred
    async def write(self, data: Piece) -> None:
        if isinstance(data, FileSpan):
            # Not all at once: it may be the file of a large object.
            step = self._bucket.given.part_size
            for offset in range(0, data.length, step):
                length = min(step, data.length - offset)
                piece = FileSpan(data.fd, data.offset + offset, length)
                await self._add(
                    await self._bucket.wire.threads.run(translated(read_span), piece)
                )
        else:
            await self._add(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        condition = await self._bucket.condition(self._key, demand)
        whole = ""
        total = self._sent + self._held.size
        upload = self._upload
        if upload is None:
            await self._not_begun()
            made = await self._bucket.put(
                self._key, self._held.settle(), attributes, condition
            )
            self._let_go()
            told = attributes
        else:
            if self._held.size:
                await self._ship()
            while self._flying:
                await self._landed()
            self._complain()
            if attributes.checksum_type == FULL:
                whole = attributes.checksums.get(upload.algorithm, "")
            made = await upload.complete(condition, whole)
            told = self._told
        self._upload = None
        self._over = True
        if self._own:
            status = self._bucket.unseen(made, total, attributes)
        else:
            status = await self._bucket.settle(self._key, made, total, told, attributes)
            found = status.attributes
            if upload is not None and found.checksum_type == FULL:
                if found.checksums.get(upload.algorithm, whole) != whole:
                    # It joins those of the parts as if they were bytes.
                    self._bucket.doubted.add(upload.algorithm)
                    none = attrs.evolve(found, checksums={}, checksum_type="")
                    status = attrs.evolve(status, attributes=none, memo={})
        if upload is not None:
            await upload.tidied
        return status

    @deferred
    async def abort(self) -> None:
        self._over = True
        for work in list(self._flying.values()):
            work.cancel()
        self._let_go()
        await self._not_begun()
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.abort()

    async def _not_begun(self) -> None:
        """An upload that was begun beforehand is not needed."""
        beginning, self._beginning = self._beginning, None
        if beginning is None:
            return
        beginning.cancel()
        try:
            upload = await beginning
        except Exception:
            return
        await upload.abort()

    async def _add(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while len(view):
            self._complain()
            if self._held.size >= self._part_size():
                await self._ship()
            if self._size is not None and self._size > self._part_size():
                # It will be needed: let it be there when the first part is.
                self._begin()
            part = view[: self._part_size() - self._held.size]
            await self._make_room(self._held.size + len(part))
            self._complain()
            self._held.add(part)
            view = view[len(part) :]

    def _part_size(self) -> int:
        # S3 takes so many parts and no more: those of what is very large are large.
        least = self._bucket.given.part_size << min(self._number // 1000, 16)
        if self._size is not None:
            least = max(least, -(-self._size // (PARTS_MOST - 1000)))
        return min(least, self._room.total)

    async def _make_room(self, needed: int) -> None:
        if needed <= self._taken:
            return
        whole = self._part_size()
        left = whole if self._size is None else self._size - self._sent
        wanted = min(whole, left) if needed <= left else whole
        await self._room.take(wanted - self._taken)
        if self._over:
            self._room.give(wanted - self._taken)
            self._complain()
        self._taken = wanted

    def _let_go(self) -> None:
        self._held = Held()
        taken, self._taken = self._taken, 0
        self._room.give(taken)

    def _begin(self) -> None:
        if self._beginning is None and self._upload is None:
            algorithm = self._algorithm()
            self._beginning = Deferred.fromCoroutine(
                self._bucket.begin(
                    self._key, self._told, algorithm, FULL if algorithm else ""
                )
            )

    def _algorithm(self) -> str:
        """The checksum of the whole that is to be kept; empty if there is none."""
        if self._told.checksum_type == "COMPOSITE":
            return ""
        return next((name for name in self._told.checksums if name in JOINING), "")

    async def _ship(self) -> None:
        """Send what is held as a part; wait only while too many are on their way."""
        if self._number == PARTS_MOST:
            raise EntityTooLarge()
        if self._upload is None:
            self._begin()
            beginning, self._beginning = self._beginning, None
            assert beginning is not None
            upload = await beginning
            if self._over:
                await upload.abort()
                self._complain()
            self._upload = upload
        while len(self._flying) >= self._bucket.given.upload_threads:
            await self._landed()
        self._complain()
        held, taken, self._held, self._taken = self._held, self._taken, Held(), 0
        self._sent += held.size
        self._number += 1
        number = self._number
        work = Deferred.fromCoroutine(self._upload.part(number, held.settle()))
        self._flying[number] = work
        work.addBoth(self._land, number, taken)

    def _land(self, result: Failure | str, number: int, taken: int) -> None:
        del self._flying[number]
        self._room.give(taken)
        if isinstance(result, Failure) and self._error is None:
            self._error = result
        landing, self._landing = self._landing, None
        if landing is not None:
            landing.callback(None)

    def _landed(self) -> Deferred[None]:
        self._landing = Deferred(self._not_waiting)
        return self._landing

    def _not_waiting(self, landing: Deferred[None]) -> None:
        self._landing = None

    def _complain(self) -> None:
        if self._error is not None and not self._error.check(CancelledError):
            self._error.raiseException()
        if self._over:
            raise StorageUnavailable("This write was given up.")
