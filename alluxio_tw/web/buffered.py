"""
Replies on their way out through a transport that buffers, such as TLS.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.threads import IThreads
from alluxio_tw.web.warmth import is_warm

if TYPE_CHECKING:
    from alluxio_tw.web.connection import HTTPConnection

TLS_SLICE = 256 << 10
"""How much is read from a file and encrypted at a time."""


@implementer(IPushProducer)
class StreamFlow:
    """
    A reply being sent through a transport that buffers, such as TLS.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        threads: IThreads,
        first: bytes | memoryview,
        body: IBody | None,
        done: Callable[[int, Failure | None], None],
    ) -> None:
        self._connection = connection
        self._transport: Any = connection.transport
        self._threads = threads
        self._first = bytes(first)
        self._after: bytes | memoryview = b""
        self._begun = False
        self._body = body
        self._done = done
        self._file: FileSpan | None = None
        self._sent = 0
        self._paused = False
        self._running = False
        self._pending: Deferred[Any] | None = None
        self._over = False

    def start(self) -> None:
        """Begin, once the first piece of the body is there."""
        if self._body is not None:
            self._pending = self._body.read()
            self._pending.addCallbacks(self._arrived, self._failed)
        if self._pending is None:
            self._begin()

    def _begin(self) -> None:
        if self._begun or self._over:
            return
        self._begun = True
        self._transport.registerProducer(self, True)
        # What is resumed from within a write must not overtake what it follows.
        self._running = True
        if self._first:
            self._write(self._first)
        after, self._after = self._after, b""
        if after:
            self._write(after)
        self._running = False
        self._run()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._connection.touched = self._connection.site.now
        self._run()

    def stopProducing(self) -> None:
        self.finish(Failure(ConnectionError("The client is gone.")))

    def _write(self, data: bytes | memoryview) -> None:
        self._sent += len(data)
        self._transport.write(bytes(data))

    def _run(self) -> None:
        # Writing may pause and resume us from within.
        if self._running:
            return
        self._running = True
        try:
            while not (self._paused or self._over or self._pending is not None):
                self._step()
        finally:
            self._running = False

    def _step(self) -> None:
        file = self._file
        if file is not None:
            count = min(file.length, TLS_SLICE)
            if is_warm(file.fd, file.offset, count):
                self._slice(os.pread(file.fd, count, file.offset))
            else:
                self._pending = self._threads.run(os.pread, file.fd, count, file.offset)
                self._pending.addCallbacks(self._sliced, self._failed)
            return
        body = self._body
        if body is None:
            self.finish(None)
            return
        self._pending = body.read()
        self._pending.addCallbacks(self._arrived, self._failed)

    def _slice(self, data: bytes) -> None:
        file = self._file
        assert file is not None
        if not data:
            self.finish(Failure(EOFError("The file was cut short.")))
            return
        left = file.length - len(data)
        self._file = FileSpan(file.fd, file.offset + len(data), left) if left else None
        self._write(data)

    def _sliced(self, data: bytes) -> None:
        self._pending = None
        if not self._over:
            self._slice(data)
            self._run()

    def _arrived(self, piece: Piece | None) -> None:
        self._pending = None
        if self._over:
            return
        if piece is None:
            body, self._body = self._body, None
            if body is not None:
                body.close()
        elif isinstance(piece, FileSpan):
            self._file = piece
        elif self._begun:
            self._write(piece)
        else:
            self._after = piece
        if self._begun:
            self._run()
        else:
            self._begin()

    def _failed(self, failure: Failure) -> None:
        self._pending = None
        self.finish(failure)

    def finish(self, failure: Failure | None) -> None:
        """End: all was given to the transport, or C{failure} says why not."""
        if self._over:
            return
        self._over = True
        pending, self._pending = self._pending, None
        body, self._body = self._body, None
        if pending is not None:
            pending.addErrback(lambda _: None)
            pending.cancel()
        if body is not None:
            body.close()
        if self._begun and not self._connection.lost:
            self._transport.unregisterProducer()
        self._done(self._sent, failure)
