"""
What the cache has of one version of an object, and the ways to have more or less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred

from alluxio_tw.cache.holdings import Holding, Holdings
from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import OurError
from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.iobjects import Status
from alluxio_tw.ipages import IPageSource
from alluxio_tw.leases import Leases
from alluxio_tw.s3.checksums import ALGORITHMS, Data, Digests, Promises
from alluxio_tw.spans import Span, page_length
from alluxio_tw.threads import IThreads

SLICE = 1 << 20
"""Bytes that are read from a file at once."""


@attrs.frozen
class Kept:
    """
    A version, as the cache has it.
    """

    status: Status
    _id: bytes
    _holdings: Holdings
    _source: IPageSource
    _leases: Leases

    @property
    def capacity(self) -> int:
        """Bytes of the cache, all in all."""
        return self._holdings.capacity

    def holding(self) -> Deferred[Holding]:
        """As L{Holdings.of}."""
        found: Deferred[Holding] = self._holdings.of(self._id, self.status.size)
        return found

    def missing(self, start: int) -> Deferred[tuple[int, int] | None]:
        """As L{Holdings.missing}."""
        found: Deferred[tuple[int, int] | None] = self._holdings.missing(
            self._id, self.status.size, start
        )
        return found

    def length(self, first: int, last: int) -> int:
        """Bytes of the pages from C{first} to C{last}."""
        return self._holdings.length(self.status.size, first, last)

    @deferred
    async def warm(self, first: int, last: int) -> None:
        """As L{Holdings.warm}."""
        lease = self._leases.take()
        try:
            await self._holdings.warm(self._id, self._source, first, last)
        finally:
            lease.end()

    def forget(self) -> Deferred[int]:
        """As L{Holdings.forget}."""
        freed: Deferred[int] = self._holdings.forget(self._id, self.status.size)
        return freed

    @property
    def verifiable(self) -> bool:
        """There is something to compare the bytes with."""
        return bool(_algorithm(self.status)) or _is_md5(self.status.etag)

    @deferred
    async def verify(self, threads: IThreads) -> bool:
        """
        Read what is kept and compare it with the checksum that the storage has of
        it, or else with the ETag, if that has the form of an MD5.

        :raises OurError: some of it is not kept any more, or cannot be read.
        """
        status = self.status
        algorithm = _algorithm(status)
        digests = Digests(
            Promises(), md5=not algorithm, also=[algorithm] if algorithm else []
        )
        for number in range(self._holdings.pages(status.size)):
            length = page_length(number, self._holdings.page_size, status.size)
            page = await self._holdings.page(self._id, number)
            if page is None:
                raise OurError("A page is not in the cache any more.")
            try:
                if page.length != length:
                    return False
                piece = page.piece(Span(0, length))
                # One thread after the other: to have a page in memory once is enough.
                await threads.run(_digest, piece, digests.lanes)
            except OSError as error:
                raise OurError("A page cannot be read.") from error
            finally:
                page.release()
        if algorithm:
            found = digests.checksums[algorithm]
            return found == status.attributes.checksums[algorithm]
        return digests.md5_hex == status.etag


def _digest(piece: Piece, lanes: Sequence[Callable[[Data], None]]) -> None:
    # In a thread.
    if not isinstance(piece, FileSpan):
        for lane in lanes:
            lane(piece)
        return
    offset, end = piece.offset, piece.offset + piece.length
    while offset < end:
        data = os.pread(piece.fd, min(SLICE, end - offset), offset)
        if not data:
            raise OSError("the file is shorter than it was")
        for lane in lanes:
            lane(data)
        offset += len(data)


def _algorithm(status: Status) -> str:
    """A checksum of the whole object; empty if there is none."""
    kept = status.attributes
    if kept.checksum_type == "COMPOSITE":
        return ""
    return next((name for name in kept.checksums if name in ALGORITHMS), "")


def _is_md5(etag: str) -> bool:
    return len(etag) == 32 and not set(etag) - set("0123456789abcdef")
