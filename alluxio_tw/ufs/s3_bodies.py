"""
Bodies to and from an S3 server.

A reply pushes; whoever reads pulls.  What has come and was not asked for is
held, up to half a mebibyte, then the connection is paused, and TCP slows the
server.  A body that breaks off is taken up again where it stopped: the version
is named in every request, so what follows is of the same object or an error.

Nothing here undoes a C{Content-Encoding}: it is the object's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.s3.checksums import Lane

HELD_MOST = 512 << 10
"""Bytes that are held before the server is made to wait."""

_HELD_LEAST = 128 << 10
_SLICE = 256 << 10


@implementer(IPushProducer)
@attrs.define(eq=False)
class Sending:
    """
    Pieces on their way out, as fast as the connection takes them.

    :ivar moved: called whenever bytes went.
    :ivar over: all went, or no more will.
    """

    _pieces: Sequence[bytes | memoryview] = attrs.field(repr=False)
    moved: Callable[[], None] = attrs.field(repr=False)
    over: bool = attrs.field(default=False, init=False)
    _at: int = attrs.field(default=0, init=False)
    _within: int = attrs.field(default=0, init=False)
    _paused: bool = attrs.field(default=False, init=False)
    _running: bool = attrs.field(default=False, init=False)
    _transport: Any = attrs.field(default=None, init=False, repr=False)

    def start(self, transport: Any) -> None:
        """Begin; the transport has no other producer."""
        self._transport = transport
        transport.registerProducer(self, True)
        self._run()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._run()

    def stopProducing(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over:
            self.over = True
            self._pieces = ()
            self._transport.unregisterProducer()

    def _is_over(self) -> bool:
        return self.over  # may change with every write

    def _run(self) -> None:
        # A write may call back into resumeProducing.
        if self._running or self.over:
            return
        self._running = True
        while not self._paused and self._at < len(self._pieces):
            piece = self._pieces[self._at]
            # Of bytes that are no longer than that, this is the piece itself.
            part = piece[self._within : self._within + _SLICE]
            self._within += len(part)
            if self._within >= len(piece):
                self._at, self._within = self._at + 1, 0
            if len(part):
                self._transport.write(bytes(part))
                if self._is_over():
                    break
        self._running = False
        self.moved()
        if self._at >= len(self._pieces):
            self._end()


@implementer(IPushProducer)
@attrs.define(eq=False)
class Relaying:
    """
    A body on its way out while it comes in.

    :ivar moved: called whenever bytes went.
    :ivar over: all went, or no more will.
    """

    _body: IBody = attrs.field(repr=False)
    moved: Callable[[], None] = attrs.field(repr=False)
    over: bool = attrs.field(default=False, init=False)
    _paused: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _work: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _transport: Any = attrs.field(default=None, init=False, repr=False)

    def start(self, transport: Any) -> None:
        """Begin; the transport has no other producer."""
        self._transport = transport
        transport.registerProducer(self, True)
        self._work = self._run()

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.callback(None)

    def stopProducing(self) -> None:
        if not self.over:
            self.over = True
            self._transport.unregisterProducer()
            self.resumeProducing()
            if self._work is not None:
                self._work.cancel()

    @deferred
    async def _run(self) -> None:
        try:
            while (piece := await self._body.read()) is not None:
                if self.over:
                    return
                if isinstance(piece, FileSpan):
                    raise TypeError("What comes in lies in memory.")
                self._transport.write(bytes(piece))
                self.moved()
                while self._paused is not None:
                    await self._paused
        except CancelledError:
            return
        except Exception:
            # Half a body is none: the server must not wait for the rest.
            if not self.over:
                self._transport.abortConnection()
            return
        if not self.over:
            self.over = True
            self._transport.unregisterProducer()


class Wire(Protocol):
    """What an arrival may do to its connection."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def abort(self) -> None: ...


@implementer(IBody)
class Arrival:
    """
    The body of one reply.
    """

    def __init__(
        self, length: int | None, clock: IReactorTime, timeout: float, wire: Wire
    ) -> None:
        """
        :param length: how many bytes must come, if that is known.
        :param timeout: seconds that a reader waits for the next bytes.
        :param wire: that it comes by.
        """
        self.length: int | None = length
        self.got = 0
        self._clock = clock
        self._timeout = timeout
        self._wire = wire
        self._released: Callable[[], None] | None = None
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._over = False
        self._error: Exception | None = None
        self._waiter: Deferred[Piece | None] | None = None
        self._timer: IDelayedCall | None = None

    def when_over(self, released: Callable[[], None]) -> None:
        """Have C{released} called, once, when the connection is no longer ours."""
        if self._over:
            released()
        else:
            self._released = released

    def take(self) -> bytes | None:
        """A piece that is here already."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._paused and self._held <= _HELD_LEAST:
            self._paused = False
            if not self._over:
                self._wire.resumeProducing()
        return piece

    def read(self) -> Deferred[Piece | None]:
        piece = self.take()
        if piece is not None:
            return succeed(piece)
        if self._error is not None:
            return fail(self._error)
        if self._over:
            return succeed(None)
        self._timer = self._clock.callLater(self._timeout, self._late)
        self._waiter = Deferred(self._forsaken)
        return self._waiter

    def _forsaken(self, waiter: Deferred[Piece | None]) -> None:
        # Whoever waited is told that it was cancelled, and nothing else.
        self._waiter = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.close()

    def close(self) -> None:
        self._pieces.clear()
        self._held = 0
        if not self._over:
            self._end(StorageUnavailable())
            self._wire.abort()

    # What the connection says

    def feed(self, data: bytes) -> None:
        """Bytes have come."""
        self.got += len(data)
        if self._over:
            return
        if self._waiter is not None:
            self._answer(data)
            return
        self._pieces.append(data)
        self._held += len(data)
        if self._held >= HELD_MOST and not self._paused:
            self._paused = True
            self._wire.pauseProducing()

    def finish(self, rest: Sequence[bytes]) -> None:
        """The last bytes have come."""
        if self._over:
            return
        for data in rest:
            self.got += len(data)
            self._held += len(data)
            self._pieces.append(data)
        if self.length not in (None, self.got):
            self.fail(StorageUnavailable("The storage broke off."))
            return
        self._end(None)

    def fail(self, error: Exception) -> None:
        """The rest will not come."""
        if not self._over:
            self._end(error)

    def _late(self) -> None:
        self._timer = None
        self._end(StorageUnavailable("The storage sends nothing any more."))
        self._wire.abort()

    def _end(self, error: Exception | None) -> None:
        self._over = True
        self._error = error
        released, self._released = self._released, None
        if released is not None:
            released()
        if self._waiter is not None:
            # What is here comes before what went wrong.
            self._answer(self.take() or error)

    def _answer(self, result: bytes | Exception | None) -> None:
        waiter, self._waiter = self._waiter, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if waiter is None:
            return
        if isinstance(result, Exception):
            waiter.errback(Failure(result))
        else:
            waiter.callback(result)


@attrs.define
class Check:
    """
    A checksum that the whole body must have.
    """

    lane: Lane
    digest: bytes


@implementer(IBody)
@attrs.define(eq=False)
class RemoteBody:
    """
    A span of one version, however many replies it takes.

    :ivar start: asks for what begins so many bytes into the span.
    :ivar pause: waits before the n-th repetition.
    :ivar retries: how often in a row it may break off without a byte gained.
    """

    length: int | None
    _start: Callable[[int], Deferred[tuple[Arrival, Check | None]]] = attrs.field(
        repr=False
    )
    _pause: Callable[[int], Deferred[None]] = attrs.field(repr=False)
    _retries: int
    _arrival: Arrival | None = attrs.field(default=None, repr=False)
    _check: Check | None = attrs.field(default=None, repr=False)
    _given: int = attrs.field(default=0, init=False)
    _failed: int = attrs.field(default=0, init=False)
    _closed: bool = attrs.field(default=False, init=False)

    def read(self) -> Deferred[Piece | None]:
        if self._arrival is not None:
            piece = self._arrival.take()
            if piece is not None:
                self._count(piece)
                return succeed(piece)
        return self._await()

    @deferred
    async def _await(self) -> Piece | None:
        while not self._closed and self._given != self.length:
            arrival = self._arrival
            if arrival is None:
                started, check = await self._start(self._given)
                if self._is_closed():
                    started.close()
                    break
                self._arrival = arrival = started
                if not self._given:
                    self._check = check
            try:
                piece = await arrival.read()
            except StorageUnavailable:
                self._arrival = None
                arrival.close()
                if self._is_closed() or self._failed >= self._retries:
                    raise
                self._failed += 1
                await self._pause(self._failed)
                continue
            if piece is None:
                raise StorageUnavailable("The storage broke off.")
            assert isinstance(piece, bytes)
            self._count(piece)
            return piece
        return None

    def _is_closed(self) -> bool:
        return self._closed  # may change with every await

    def _count(self, piece: bytes) -> None:
        self._given += len(piece)
        self._failed = 0
        check = self._check
        if check is not None:
            check.lane.update(piece)
            if self._given == self.length and check.lane.digest() != check.digest:
                raise StorageUnavailable(
                    "Bytes were damaged on their way from the storage."
                )

    def close(self) -> None:
        self._closed = True
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.close()
