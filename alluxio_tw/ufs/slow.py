"""
A driver that makes another slow: latency for every call, a limit on bandwidth.

For demonstrations of the cache, for tests and for benchmarks: what a far
storage does to a client, with the bytes near by.  Everything is paced by the
reactor's clock, so tests turn it by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import WrongConfiguration
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import (
    Attributes,
    Bucket,
    Demand,
    IReading,
    Listing,
    Status,
)
from alluxio_tw.iufs import (
    Capabilities,
    IPlacing,
    IUnderFileSystem,
    ListQuery,
    Surroundings,
)
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.registry import Registry
from alluxio_tw.ufs.uris import Options, with_query, without_query

_LARGEST_PIECE = 64 << 10
_LEAST_PIECE = 4 << 10
_SLACK = 0.02


def make(
    uri: str, options: Mapping[str, str], around: Surroundings
) -> IUnderFileSystem:
    """
    Make the driver of C{slow+REST}: the driver of C{REST}, slowed.

    Options: C{latency} of each call (0), C{bandwidth} of all bodies together and
    C{per_connection} of each, in bytes a second (no limit); the others go to the
    driver of C{REST}.

    :raises WrongConfiguration: an option is wrong, or no driver takes the rest.
    """
    bare, query = without_query(uri)
    given = Options.gathered("a slow mount", query, options)
    latency = given.duration("latency", 0.0)
    bandwidth = _rate(given, "bandwidth")
    each = _rate(given, "per_connection")
    # What stood in the query stays in the query: a driver may read them apart.
    rest = given.rest()
    inner = with_query(
        bare[len("slow+") :], {k: v for k, v in query.items() if k in rest}
    )
    beside = {k: v for k, v in options.items() if k in rest}
    wrapped = Registry.installed().make(inner, beside, around)
    clock = around.reactor
    return SlowUFS(
        wrapped, clock, around.threads, latency, Pace(clock, bandwidth), each
    )


def _rate(given: Options, name: str) -> int:
    rate = given.size(name, 0)
    if name in given and not rate:
        raise WrongConfiguration(f"option {name!r} of a slow mount: nothing would move")
    return rate


@attrs.define(eq=False)
class Pace:
    """
    Lets so many bytes by in a second, whoever they belong to, first come first
    served.

    :ivar rate: bytes a second; nought for no limit.
    """

    _clock: IReactorTime
    rate: int
    _free: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._free = self._clock.seconds()

    @property
    def piece(self) -> int:
        """How large pieces may be, in bytes, to come several in 50 ms."""
        if not self.rate:
            return _LARGEST_PIECE
        return min(_LARGEST_PIECE, max(_LEAST_PIECE, self.rate // 200))

    def wait(self, length: int) -> float:
        """
        Claim the way for C{length} bytes.

        :return: seconds until they have passed.
        """
        if not self.rate:
            return 0.0
        now = self._clock.seconds()
        # Timers fire late: what was lost to that lately is made good.
        self._free = max(self._free, now - _SLACK) + length / self.rate
        return max(0.0, self._free - now)


@implementer(IUnderFileSystem)
@attrs.define(eq=False)
class SlowUFS:
    """
    The wrapped driver, late.
    """

    _wrapped: IUnderFileSystem
    _clock: IReactorTime
    _threads: IThreads
    latency: float
    _pace: Pace
    _each: int
    capabilities: Capabilities = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.capabilities = attrs.evolve(self._wrapped.capabilities, near=False)

    def later(self, seconds: float) -> Deferred[None]:
        """After so many seconds of the clock."""
        if seconds <= 0:
            return succeed(None)
        return deferLater(self._clock, seconds, lambda: None)

    def call(self) -> Deferred[None]:
        """What a call costs before anything happens."""
        return self.later(self.latency)

    async def pass_by(self, length: int, own: Pace) -> None:
        """Take the time that C{length} bytes take."""
        await self.later(max(self._pace.wait(length), own.wait(length)))

    async def bytes_of(self, piece: Piece) -> bytes | memoryview:
        """What a piece holds; a C{FileSpan} must stay open meanwhile."""
        if isinstance(piece, FileSpan):
            return await self._threads.run(translated(read_span), piece)
        return piece

    def slowed(self, body: IBody, latency: float) -> IBody:
        """A body that takes its time, and C{latency} before its first byte."""
        pace = Pace(self._clock, self._each)
        return _SlowBody(self, body, pace, latency, min(pace.piece, self._pace.piece))

    def glance(self, path: str) -> IReading | None:
        return None

    @deferred
    async def status(self, path: str) -> Status:
        await self.call()
        return await self._wrapped.status(path)

    @deferred
    async def open(self, path: str) -> IReading:
        await self.call()
        return _SlowReading(self, await self._wrapped.open(path))

    @deferred
    async def read(self, path: str, status: Status, span: Span) -> IBody:
        await self.call()
        return self.slowed(await self._wrapped.read(path, status, span), 0.0)

    @deferred
    async def place(
        self, path: str, size: int | None, attributes: Attributes | None = None
    ) -> IPlacing:
        await self.call()
        placing = await self._wrapped.place(path, size, attributes)
        return _SlowPlacing(self, placing, Pace(self._clock, self._each))

    @deferred
    async def describe(
        self, path: str, status: Status, attributes: Attributes
    ) -> Status:
        await self.call()
        return await self._wrapped.describe(path, status, attributes)

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
        await self.call()
        return await self._wrapped.copy(
            source, status, target, attributes, etag, demand
        )

    @deferred
    async def join(
        self,
        sources: Sequence[str],
        target: str,
        attributes: Attributes,
        etag: str,
        demand: Demand,
    ) -> Status:
        await self.call()
        return await self._wrapped.join(sources, target, attributes, etag, demand)

    @deferred
    async def delete(self, path: str, demand: Demand) -> bool:
        await self.call()
        return await self._wrapped.delete(path, demand)

    @deferred
    async def list(self, query: ListQuery) -> Listing:
        await self.call()
        return await self._wrapped.list(query)

    @deferred
    async def folders(self) -> Sequence[Bucket]:
        await self.call()
        return await self._wrapped.folders()

    @deferred
    async def make_folder(self, name: str) -> None:
        await self.call()
        await self._wrapped.make_folder(name)

    @deferred
    async def remove_folder(self, name: str) -> None:
        await self.call()
        await self._wrapped.remove_folder(name)

    @deferred
    async def check(self) -> None:
        await self.call()
        await self._wrapped.check()

    def sweep(self, older: float) -> Deferred[int]:
        return self._wrapped.sweep(older)

    def close(self) -> Deferred[None]:
        return self._wrapped.close()


@implementer(IReading)
@attrs.define(eq=False)
class _SlowReading:
    _ufs: SlowUFS
    _wrapped: IReading

    @property
    def status(self) -> Status:
        return self._wrapped.status

    @property
    def cache(self) -> str:
        return self._wrapped.cache

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        return self._ufs.slowed(self._wrapped.body(span), self._ufs.latency)

    def close(self) -> None:
        self._wrapped.close()


@implementer(IBody)
@attrs.define(eq=False)
class _SlowBody:
    """
    Hands on pieces of a modest size, each when its time has come.

    A thread may still read from the wrapped body's file when we are closed; it
    is let go when the thread is done.
    """

    _ufs: SlowUFS
    _wrapped: IBody
    _pace: Pace
    _latency: float
    _size: int
    _rest: Piece | None = attrs.field(default=None, init=False)
    _reading: bool = attrs.field(default=False, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def length(self) -> int | None:
        return self._wrapped.length

    @deferred
    async def read(self) -> Piece | None:
        latency, self._latency = self._latency, 0.0
        await self._ufs.later(latency)
        piece = self._rest
        if piece is None and not self._is_closed():
            piece = await self._wrapped.read()
        if piece is None:
            return None
        now, self._rest = _cut(piece, self._size)
        await self._ufs.pass_by(
            now.length if isinstance(now, FileSpan) else len(now), self._pace
        )
        return None if self._is_closed() else await self._hold(now)

    def _is_closed(self) -> bool:
        return self._closed  # may change with every await

    def _hold(self, piece: Piece) -> Deferred[bytes | memoryview]:
        # The work itself is not to be cancelled: only who waits for it.
        self._reading = True
        outer: Deferred[bytes | memoryview] = Deferred()

        def done(result: bytes | memoryview | Failure) -> None:
            self._reading = False
            if self._closed:
                self._wrapped.close()
            if outer.called:
                return
            if isinstance(result, Failure):
                outer.errback(result)
            else:
                outer.callback(result)

        work = Deferred.fromCoroutine(self._ufs.bytes_of(piece))
        work.addBoth(done)
        return outer

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._reading:
            self._wrapped.close()


def _cut(piece: Piece, length: int) -> tuple[Piece, Piece | None]:
    if isinstance(piece, FileSpan):
        if piece.length <= length:
            return piece, None
        return (
            FileSpan(piece.fd, piece.offset, length),
            FileSpan(piece.fd, piece.offset + length, piece.length - length),
        )
    if len(piece) <= length:
        return piece, None
    view = memoryview(piece)
    return view[:length], view[length:]


@implementer(IPlacing)
@attrs.define(eq=False)
class _SlowPlacing:
    _ufs: SlowUFS
    _wrapped: IPlacing
    _pace: Pace

    @deferred
    async def write(self, data: Piece) -> None:
        length = data.length if isinstance(data, FileSpan) else len(data)
        await self._ufs.pass_by(length, self._pace)
        await self._wrapped.write(data)

    @deferred
    async def commit(
        self,
        etag: str,
        attributes: Attributes,
        demand: Demand,
        modified: int | None = None,
    ) -> Status:
        await self._ufs.call()
        return await self._wrapped.commit(etag, attributes, demand, modified)

    def abort(self) -> Deferred[None]:
        return self._wrapped.abort()
