"""
Bodies from datanodes: what is pushed, pulled.

What has come and was not asked for is held, up to half a mebibyte; then the
connection is paused, and TCP slows the datanode.  A body that breaks off is taken up
again where it stopped, perhaps from another datanode; every request is checked for
the version, so what follows is of the same file or an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import IBody, Piece

HELD_MOST = 512 << 10
"""Bytes that are held before the datanode is made to wait."""

_HELD_LEAST = 128 << 10


class Arrival(Protocol):
    """
    The body of one reply.
    """

    def __init__(
        self,
        length: int | None,
        clock: IReactorTime,
        timeout: float,
        released: Callable[[], None],
    ) -> None:
        """
        :param length: how many bytes must come, if that is known.
        :param timeout: seconds that a reader waits for the next bytes.
        :param released: called once, when the connection is no longer ours.
        """
        self.length = length
        self.got = 0
        self._clock = clock
        self._timeout = timeout
        self._released: Callable[[], None] | None = released
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._paused = False
        self._over = False
        self._error: Exception | None = None
        self._waiter: Deferred[bytes | None] | None = None
        self._timer: IDelayedCall | None = None

    def when_over(self, released: Callable[[], None]) -> None:
        """Have this called, too, when the connection is no longer ours."""
        before = self._released
        if before is None:
            released()
            return

        def both() -> None:
            before()
            released()

        self._released = both

    def take(self) -> bytes | None:
        """A piece that is here already."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self._held -= len(piece)
        if self._paused and self._held <= _HELD_LEAST:
            self._paused = False
            if self.transport is not None and not self._over:
                self.transport.resumeProducing()  # type: ignore[attr-defined]
        return piece

    def read(self) -> Deferred[bytes | None]:
        """
        The next piece, or L{None} at the end.

        :raises StorageUnavailable: the rest does not come.
        """
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

    async def all(self, most: int) -> bytes:
        """
        All of it.

        :raises StorageUnavailable: it breaks off, or is of more than C{most} bytes.
        """
        parts: list[bytes] = []
        left = most
        try:
            while (piece := await self.read()) is not None:
                parts.append(piece)
                left -= len(piece)
                if left < 0:
                    raise StorageUnavailable("The storage answers without end.")
        finally:
            self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Lose interest in what has not come."""
        self._pieces.clear()
        self._held = 0
        if not self._over:
            self._end(StorageUnavailable())
            self._abort()

    def _forsaken(self, waiter: Deferred[bytes | None]) -> None:
        # Whoever waited is told that it was cancelled, and nothing else.
        self._waiter = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.close()

    # What the connection says

    def dataReceived(self, data: bytes) -> None:
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
            if self.transport is not None:
                self.transport.pauseProducing()  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._over:
            return
        whole = reason.check(ResponseDone) is not None or (
            reason.check(PotentialDataLoss) is not None and self.length is None
        )
        if whole and self.length in (None, self.got):
            self._end(None)
        else:
            self._end(StorageUnavailable("The storage broke off."))

    def _late(self) -> None:
        self._timer = None
        self._end(StorageUnavailable("The storage sends nothing any more."))
        self._abort()

    def _end(self, error: Exception | None) -> None:
        self._over = True
        self._error = error
        released, self._released = self._released, None
        if released is not None:
            released()
        self._answer(error)

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

    def _abort(self) -> None:
        # The proxy that a reply's protocol is given cannot abort; merely closing
        # would wait for a peer that we have stopped listening to.
        transport = getattr(self.transport, "_producer", None) or self.transport
        abort = getattr(transport, "abortConnection", None)
        if abort is not None:
            abort()
        elif transport is not None:
            transport.loseConnection()


@implementer(IBody)
@attrs.define(eq=False)
class SpanBody:
    """
    A span of one version, however many replies it takes.

    :ivar start: asks for what begins so many bytes into the span.
    :ivar pause: waits before the n-th repetition.
    :ivar retries: how often in a row it may break off without a byte gained.
    """

    length: int | None
    _start: Callable[[int], Deferred[Arrival]] = attrs.field(repr=False)
    _pause: Callable[[int], Deferred[None]] = attrs.field(repr=False)
    _retries: int
    _arrival: Arrival | None = attrs.field(default=None, repr=False)
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
                started = await self._start(self._given)
                if self._is_closed():
                    started.close()
                    break
                self._arrival = arrival = started
            try:
                piece = await arrival.read()
                if piece is None:
                    raise StorageUnavailable("The storage broke off.")
            except StorageUnavailable:
                self._arrival = None
                arrival.close()
                if self._is_closed() or self._failed >= self._retries:
                    raise
                self._failed += 1
                await self._pause(self._failed)
                continue
            self._count(piece)
            return piece
        return None

    def _is_closed(self) -> bool:
        return self._closed  # may change with every await

    def _count(self, piece: bytes) -> None:
        self._given += len(piece)
        self._failed = 0

    def close(self) -> None:
        self._closed = True
        arrival, self._arrival = self._arrival, None
        if arrival is not None:
            arrival.close()
