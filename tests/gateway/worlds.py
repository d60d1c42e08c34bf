"""
A gateway over real parts, for tests: memory driver, memory stores, a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from alluxio_tw.cache.memory import MemoryStore
from alluxio_tw.cache.pipeline import PageCache
from alluxio_tw.deferreds import deferred
from alluxio_tw.gateway.current import Current
from alluxio_tw.gateway.objects import Objects
from alluxio_tw.gateway.receiving import Incoming
from alluxio_tw.gateway.uploads import Uploads
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    NO_ATTRIBUTES,
    NO_DEMAND,
    Attributes,
    Demand,
    Status,
)
from alluxio_tw.ipages import IPageStore
from alluxio_tw.iufs import IPlacing
from alluxio_tw.namespace.metadata import Records
from alluxio_tw.namespace.mount import Mount
from alluxio_tw.namespace.mounts import MountTable
from alluxio_tw.s3.checksums import Digests, Promises
from alluxio_tw.spans import Span
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.threads import NoThreads
from alluxio_tw.ufs.memory import MemoryUFS
from tests.doubles import FaultyUFS

T = TypeVar("T")

PAGE = 1 << 10


@implementer(IBody)
@attrs.define
class ScriptedBody:
    """
    A body whose pieces a test hands out.
    """

    length: int | None = None
    closed: bool = False
    _pieces: list[Piece | Exception | None] = attrs.field(factory=list)
    _reader: Deferred[Piece | None] | None = None

    def read(self) -> Deferred[Piece | None]:
        self._reader = Deferred()
        reader = self._reader
        self._give()
        return reader

    def close(self) -> None:
        self.closed = True

    def say(self, *pieces: Piece | Exception | None) -> ScriptedBody:
        """Hand out; L{None} is the end, an exception is raised."""
        self._pieces.extend(pieces)
        self._give()
        return self

    def _give(self) -> None:
        if self._reader is None or not self._pieces:
            return
        reader, self._reader = self._reader, None
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            reader.errback(piece)
        else:
            reader.callback(piece)


class WatchedUFS(FaultyUFS):
    """
    Remembers what was read, and may answer with what was so before.

    :ivar open_placings: how many were neither committed nor aborted.
    """

    asked: list[Span]
    before: Status | None = None
    open_placings = 0

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        placing = await super().place(path, size, attributes)
        self.open_placings += 1
        return CountedPlacing(self, placing)

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        self.asked.append(span)
        return await super().read(path, status, span)

    @deferred
    async def status(self, path: str) -> Status:
        found = await super().status(path)
        before, self.before = self.before, None
        return before or found


@implementer(IPlacing)
@attrs.define(eq=False)
class CountedPlacing:
    """
    Tells when it is over.
    """

    _ufs: WatchedUFS
    _wrapped: IPlacing
    _over: bool = attrs.field(default=False, init=False)

    def write(self, data: Piece) -> Deferred[None]:
        done: Deferred[None] = self._wrapped.write(data)
        return done

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        made: Status = await self._wrapped.commit(etag, attributes, demand, modified)
        self._end()
        return made

    @deferred
    async def abort(self) -> None:
        await self._wrapped.abort()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._ufs.open_placings -= 1


@attrs.define
class World:
    """
    One bucket, C{b}, over a storage in memory that can be told to misbehave.

    :ivar case: whose results are taken.
    :ivar folder: where records lie; survives L{restart}.
    """

    case: SynchronousTestCase
    folder: str
    options: Mapping[str, str] = attrs.field(factory=dict)
    clock: Clock = attrs.field(factory=Clock)
    state: MemoryState = attrs.field(factory=MemoryState)
    records: Records | None = None
    store: IPageStore = attrs.field(factory=lambda: MemoryStore(1 << 20))
    ufs: WatchedUFS = attrs.field(init=False)
    objects: Objects = attrs.field(init=False)
    uploads: Uploads = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.clock.advance(1_000_000)
        self.ufs = WatchedUFS(MemoryUFS(self.clock, NoThreads()), self.clock)
        self.ufs.asked = []
        self.restart()

    def restart(self) -> None:
        """Make everything anew but the storage and the state."""
        if self.records is not None:
            self.now(self.records.close())
        records = self.records = Records.open(self.folder, self.clock, NoThreads())
        self.case.addCleanup(records.close)
        # Memory is near, and would not be cached.
        options = {"cache": "true", **self.options}
        mount = Mount.of("/b", "memory:///", {}, options, self.ufs)
        pages = PageCache(self.store, PAGE, self.clock, NoThreads())
        self.objects = Objects(
            MountTable.of([mount], self.clock),
            Current(records, self.clock.seconds),
            pages,
            NoThreads(),
        )
        self.uploads = Uploads(self.objects, self.state, self.clock.seconds, 4)

    def now(self, work: Deferred[T]) -> T:
        """The result of what needs no waiting."""
        return self.case.successResultOf(work)

    def incoming(
        self, body: IBody | bytes, promises: Mapping[bytes, bytes] | None = None
    ) -> Incoming:
        """Bytes, or a body, on the way in."""
        digests = Digests(Promises.from_headers(promises or {}))
        if not isinstance(body, bytes):
            return Incoming(body, None, digests, NO_ATTRIBUTES)
        whole = ScriptedBody(len(body)).say(*([body] if body else []), None)
        return Incoming(whole, len(body), digests, NO_ATTRIBUTES)

    def put(self, key: str, data: bytes, demand: Demand = NO_DEMAND) -> Status:
        """Write an object through the gateway."""
        return self.now(self.objects.put("b", key, self.incoming(data), demand))

    def behind(self, key: str, data: bytes) -> Status:
        """Change an object of the storage behind the gateway's back."""
        wrapped: Any = self.ufs.wrapped
        status: Status = wrapped.put(key, data, "")
        return status

    def get(self, key: str, span: Span | None = None) -> bytes:
        """Read an object, or a part, through the gateway."""
        reading = self.now(self.objects.open("b", key))
        span = span or Span(0, reading.status.size)
        body = reading.body(span)
        self.cache = reading.cache
        reading.close()
        try:
            return self.rest(body)
        finally:
            body.close()

    cache: str = ""

    def rest(self, body: IBody) -> bytes:
        """What is left of a body."""
        data = b""
        while (piece := self.now(body.read())) is not None:
            assert not isinstance(piece, FileSpan)
            data += bytes(piece)
        return data
