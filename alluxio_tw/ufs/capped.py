"""
A storage that is taken no more of than its mount allows.

A place among the readers is held from before the storage is asked until the body
is at its end or closed; one among the writers from L{IPlacing}'s beginning to
its commit or abort; other calls hold one for as long as they take.  Bytes are
counted as pieces pass, so a piece that has come in waits for its turn, and the
next is not asked for meanwhile.

What asks how the storage is (C{check}) and clears up after us (C{sweep}) passes by
all this: a storage that is busy is not one that is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.asking import WHOSE
from alluxio_tw.deferreds import deferred
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import Capabilities, IPlacing, IUnderFileSystem, ListQuery
from alluxio_tw.spans import Span
from alluxio_tw.ufs.caps import Caps, Place, Places
from alluxio_tw.ufs.hedged import Counts

T = TypeVar("T")


@implementer(IUnderFileSystem)
class CappedUFS:
    """
    The wrapped driver, within caps.
    """

    def __init__(
        self, ufs: IUnderFileSystem, caps: Caps, hedges: Counts | None = None
    ) -> None:
        """
        :param hedges: what is told of the hedging beneath, if there is any.
        """
        self._ufs = ufs
        self._caps = caps
        self._hedges = hedges
        self.capabilities: Capabilities = ufs.capabilities

    def __repr__(self) -> str:
        return f"<Capped {self._ufs!r}>"

    def numbers(self) -> Mapping[str, float]:
        """What is told of it, by the names in L{alluxio_tw.metrics}."""
        reads, writes, flow = self._caps.reads, self._caps.writes, self._caps.flow
        hedges = self._hedges or Counts()
        return {
            "in_use": reads.taken + writes.taken,
            "waiting": reads.waiting + writes.waiting + flow.waiting,
            "refused": reads.refused + writes.refused,
            "bytes": flow.passed,
            "hedged_reads": hedges.hedged,
            "hedges_won": hedges.won,
        }

    async def _call(self, places: Places, work: Callable[[], Deferred[T]]) -> T:
        place = await places.take(WHOSE.get())
        try:
            return await work()
        finally:
            place.leave()

    def _asked(self, work: Callable[[], Deferred[T]]) -> Deferred[T]:
        return Deferred.fromCoroutine(self._call(self._caps.reads, work))

    def _told(self, work: Callable[[], Deferred[T]]) -> Deferred[T]:
        return Deferred.fromCoroutine(self._call(self._caps.writes, work))

    def glance(self, path: str) -> IReading | None:
        # It would not be counted.
        return None

    def status(self, path: str) -> Deferred[Status]:
        return self._asked(lambda: self._ufs.status(path))

    @deferred
    async def open(self, path: str) -> IReading:
        whose = WHOSE.get()
        reading = await self._asked(lambda: self._ufs.open(path))
        return _CappedReading(self._caps, reading, whose)

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        whose = WHOSE.get()
        place = await self._caps.reads.take(whose)
        try:
            body = await self._ufs.read(path, status, span)
        except BaseException:
            place.leave()
            raise
        return _CappedBody(self._caps, body, whose, place)

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        whose = WHOSE.get()
        place = await self._caps.writes.take(whose)
        try:
            placing = await self._ufs.place(path, size, attributes)
        except BaseException:
            place.leave()
            raise
        return _CappedPlacing(self._caps, placing, whose, place)

    def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Deferred[Status]:
        return self._told(lambda: self._ufs.describe(path, status, attributes))

    def copy(
        self,
        source: str,
        status: Status,
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._told(
            lambda: self._ufs.copy(source, status, target, attributes, etag, demand)
        )

    def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Deferred[Status]:
        return self._told(
            lambda: self._ufs.join(sources, target, attributes, etag, demand)
        )

    def delete(self, path: str, demand: Demand) -> Deferred[bool]:
        return self._told(lambda: self._ufs.delete(path, demand))

    def list(self, query: ListQuery) -> Deferred[Listing]:
        return self._asked(lambda: self._ufs.list(query))

    def folders(self) -> Deferred[Sequence[Bucket]]:
        return self._asked(self._ufs.folders)

    def make_folder(self, name: str) -> Deferred[None]:
        return self._told(lambda: self._ufs.make_folder(name))

    def remove_folder(self, name: str) -> Deferred[None]:
        return self._told(lambda: self._ufs.remove_folder(name))

    def check(self) -> Deferred[None]:
        return self._ufs.check()

    def sweep(self, older: float) -> Deferred[int]:
        return self._ufs.sweep(older)

    @deferred
    async def close(self) -> None:
        self._caps.flow.close()
        await self._ufs.close()


@implementer(IReading)
@attrs.define(eq=False)
class _CappedReading:
    _caps: Caps
    _reading: IReading
    _whose: Hashable

    @property
    def status(self) -> Status:
        return self._reading.status

    @property
    def cache(self) -> str:
        return self._reading.cache

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        return _CappedBody(self._caps, self._reading.body(span), self._whose, None)

    def close(self) -> None:
        self._reading.close()


@implementer(IBody)
@attrs.define(eq=False)
class _CappedBody:
    """
    A body that takes a place with its first read, if it has none yet.
    """

    _caps: Caps
    _body: IBody
    _whose: Hashable
    _place: Place | None
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def length(self) -> int | None:
        return self._body.length

    @deferred
    async def read(self) -> Piece | None:
        if self._place is None:
            place = await self._caps.reads.take(self._whose)
            if self._is_closed():
                place.leave()
                return None
            self._place = place
        piece = await self._body.read()
        if piece is None:
            self._place.leave()
            return None
        await self._caps.flow.passing(self._whose, _length(piece))
        return piece

    def _is_closed(self) -> bool:
        return self._closed  # may change with every await

    def close(self) -> None:
        self._closed = True
        if self._place is not None:
            self._place.leave()
        self._body.close()


@implementer(IPlacing)
@attrs.define(eq=False)
class _CappedPlacing:
    _caps: Caps
    _placing: IPlacing
    _whose: Hashable
    _place: Place

    @deferred
    async def write(self, data: Piece) -> None:
        await self._caps.flow.passing(self._whose, _length(data))
        await self._placing.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        return await self._left(
            self._placing.commit(etag, attributes, demand, modified)
        )

    @deferred
    async def abort(self) -> None:
        await self._left(self._placing.abort())

    def _left(self, work: Deferred[T]) -> Coroutine[Any, Any, T]:
        async def run() -> T:
            try:
                return await work
            finally:
                self._place.leave()

        return run()


def _length(piece: Piece) -> int:
    return piece.length if isinstance(piece, FileSpan) else len(piece)
