"""
Bytes coming in: from a body, past the digests, into the storage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import EntityTooLarge, IncompleteBody, ObjectChanged
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import Attributes
from alluxio_tw.iufs import IPlacing
from alluxio_tw.s3.checksums import Digests
from alluxio_tw.threads import IThreads

COPY_SLICE = 1 << 20
"""How much of a file is read into memory at a time, on its way elsewhere."""

THREADED = 32 << 10
"""A piece this large is digested in a thread, beside its being written."""


@attrs.frozen
class Incoming:
    """
    An object on its way in.

    :ivar body: its bytes, decoded.
    :ivar size: how many were promised, or L{None}.
    :ivar digests: to be fed and verified.
    :ivar attributes: what its writer says of it; checksums are added.
    :ivar trailers: gives what came after the body, once it has been read.
    """

    body: IBody
    size: int | None
    digests: Digests
    attributes: Attributes
    trailers: Callable[[], Mapping[bytes, bytes]] = dict


async def receive(
    body: IBody,
    placing: IPlacing,
    digests: Digests,
    threads: IThreads,
    size: int | None,
    limit: int,
) -> int:
    """
    Write a body, piece by piece; the next piece is not asked for before this
    one is written and digested.

    :param size: how many bytes were promised, if any number was.
    :param limit: how many there may be.
    :result: how many there were.
    :raises IncompleteBody: it ended before C{size}.
    :raises EntityTooLarge: there were more than C{limit}.
    """
    check_size(size, limit)
    light = digests.light
    got = 0
    while True:
        piece = await body.read()
        if piece is None:
            break
        if isinstance(piece, FileSpan):
            raise TypeError("What comes in lies in memory.")
        got += len(piece)
        if got > limit:
            raise _too_large(got, limit)
        if light or len(piece) < THREADED:
            digests.update(piece)
            await placing.write(piece)
        else:
            both: list[Deferred[None]] = [
                placing.write(piece),
                threads.run(digests.update, piece),
            ]
            # Both are over before anyone cleans up after the one that failed.
            outcomes: Any = await DeferredList(both, consumeErrors=True)
            for well, result in outcomes:
                if not well:
                    result.raiseException()
    if size is not None and got != size:
        raise IncompleteBody()
    return got


def check_size(size: int | None, limit: int) -> None:
    """
    Is what was promised, if anything was, not too large?

    :raises EntityTooLarge: it is; better told before a storage is asked for room.
    """
    if size is not None and size > limit:
        raise _too_large(size, limit)


def _too_large(size: int, limit: int) -> EntityTooLarge:
    return EntityTooLarge(ProposedSize=str(size), MaxSizeAllowed=str(limit))


@implementer(IBody)
@attrs.define
class InMemory:
    """
    A body whose pieces that lie in files are read into memory, in threads.
    """

    _body: IBody
    _threads: IThreads
    _file: FileSpan | None = None

    @property
    def length(self) -> int | None:
        """As the body's."""
        length: int | None = self._body.length
        return length

    @deferred
    async def read(self) -> Piece | None:
        """The next piece; never of a file."""
        if self._file is None:
            piece = await self._body.read()
            if not isinstance(piece, FileSpan):
                return piece
            self._file = piece
        file = self._file
        count = min(file.length, COPY_SLICE)
        data: bytes = await self._threads.run(_pread, file.fd, count, file.offset)
        if len(data) != count:
            raise ObjectChanged()
        left = file.length - count
        self._file = FileSpan(file.fd, file.offset + count, left) if left else None
        return data

    def close(self) -> None:
        """As the body's."""
        self._body.close()


def _pread(fd: int, count: int, offset: int) -> bytes:
    pieces = []
    while count:
        piece = os.pread(fd, count, offset)
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
