"""
Bytes on their way to a datanode, as they come.

A file of HDFS is written by one request, however long it takes: a block that is
closed early stays short for ever.  So an object is not gathered into parts, but
passed on; whoever writes waits while the datanode takes no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from zope.interface import implementer

from alluxio_tw.errors import StorageUnavailable

_SLICE = 128 << 10


@implementer(IBodyProducer)
@attrs.define(eq=False)
class Outflow:
    """
    The body of one request.

    :ivar length: in bytes, where all of it is known at the beginning.
    :ivar timeout: seconds for which the datanode may take nothing.
    :ivar started: some of it may have gone.
    """

    _clock: IReactorTime
    _timeout: float
    length: object = UNKNOWN_LENGTH
    started: bool = attrs.field(default=False, init=False)
    _pieces: deque[memoryview] = attrs.field(factory=deque, init=False, repr=False)
    _consumer: IConsumer | None = attrs.field(default=None, init=False, repr=False)
    _done: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _waiter: Deferred[None] | None = attrs.field(default=None, init=False, repr=False)
    _stall: IDelayedCall | None = attrs.field(default=None, init=False, repr=False)
    _error: Exception | None = attrs.field(default=None, init=False)
    _paused: bool = attrs.field(default=False, init=False)
    _running: bool = attrs.field(default=False, init=False)
    _ended: bool = attrs.field(default=False, init=False)

    @classmethod
    def whole(
        cls,
        pieces: Sequence[bytes | bytearray | memoryview],
        clock: IReactorTime,
        timeout: float,
    ) -> Outflow:
        """A body of which everything is here."""
        made = cls(clock, timeout, sum(map(len, pieces)))
        made._pieces.extend(memoryview(piece) for piece in pieces)
        made._ended = True
        return made

    def write(self, data: bytes | memoryview) -> Deferred[None]:
        """
        Send; fires when there is room for more.  One at a time.

        :raises StorageUnavailable: nothing more is taken.
        """
        if self._error is not None:
            return fail(self._error)
        self._pieces.append(memoryview(data))
        self._run()
        if not self._pieces:
            return succeed(None)
        self._waiter = Deferred(self._forsaken)
        self._watch()
        return self._waiter

    def end(self) -> None:
        """There is no more."""
        self._ended = True
        self._run()

    def fail(self, error: Exception) -> None:
        """Nothing more will be taken."""
        if self._error is None:
            self._error = error
        self._pieces.clear()
        self._relieve()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.errback(Failure(error))

    # What the request's transport asks for

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        self.started = True
        self._consumer = consumer
        done: Deferred[None] = Deferred()
        self._done = done
        self._run()
        return done

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._run()

    def stopProducing(self) -> None:
        self._consumer = self._done = None
        self.fail(StorageUnavailable("The storage broke off."))

    def _run(self) -> None:
        # A write may call back into resumeProducing.
        if self._running or self._consumer is None:
            return
        self._running = True
        while self._pieces and not self._paused and self._is_open():
            piece = self._pieces[0]
            if len(piece) <= _SLICE:
                self._pieces.popleft()
            else:
                self._pieces[0] = piece[_SLICE:]
            if len(piece):
                self._consumer.write(bytes(piece[:_SLICE]))
        self._running = False
        if self._pieces:
            # Some went, or it would not have been asked for any.
            self._relieve()
            self._watch()
            return
        self._relieve()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)
        if self._ended and self._done is not None:
            done, self._done = self._done, None
            self._consumer = None
            done.callback(None)

    def _is_open(self) -> bool:
        return self._consumer is not None  # may change with every write

    def _forsaken(self, waiter: Deferred[None]) -> None:
        self._waiter = None

    def _watch(self) -> None:
        if self._stall is None and self._error is None:
            self._stall = self._clock.callLater(self._timeout, self._stalled)

    def _relieve(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _stalled(self) -> None:
        self._stall = None
        self.fail(StorageUnavailable("The storage takes nothing any more."))
        done, self._done = self._done, None
        self._consumer = None
        if done is not None:
            done.errback(Failure(StorageUnavailable()))
