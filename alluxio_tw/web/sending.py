"""
Replies on their way out, as fast as the client takes them and no faster.

On plain TCP a L{DirectFlow} writes to the socket itself: what lies in memory by
C{send}, what lies in a file by C{sendfile}, without passing through the
transport's buffer, in which nothing may lie then: file bytes would overtake it.
What the socket does not take at once makes the flow the transport's pull
producer, and, while it waits for the socket, the transport's C{doWrite}.  That
of Twisted sends what its buffer holds, which is nothing, stops watching the
socket, and asks us to have it watch again: three system calls for every time
that a client has read some.  For TLS, see
L{StreamFlow<alluxio_tw.web.buffered.StreamFlow>}.

C{sendfile} of bytes that are not in the page cache blocks the whole process, so
each stretch is probed with a non-blocking read first, and brought in by a thread
if it is cold.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.threads import IThreads
from alluxio_tw.web.warmth import bring_in, is_at_hand, is_warm

if TYPE_CHECKING:
    from alluxio_tw.web.connection import HTTPConnection

STRETCH = 1 << 20
"""How much of a file one probe stands for, or is brought in at a time."""

AHEAD = 2 << 20
"""How much of a file is probed before any is sent: about what a socket takes."""

TURN = 4 << 20
"""How much one connection may send before the others get their turn."""

MSG_MORE = 0x8000


@implementer(IPullProducer)
class DirectFlow:
    """
    A reply being sent straight to a TCP socket.
    """

    __slots__ = (
        "_after",
        "_begun",
        "_body",
        "_connection",
        "_done",
        "_fd",
        "_left",
        "_memory",
        "_offset",
        "_over",
        "_pending",
        "_registered",
        "_registering",
        "_sent",
        "_socket",
        "_threads",
        "_transport",
        "_warm_to",
        "_watched",
    )

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
        self._socket = connection.socket
        self._threads = threads
        self._body = body
        self._done = done
        self._memory: memoryview | None = memoryview(first) if first else None
        self._after: memoryview | None = None
        # The file span being sent: what is left of it.
        self._fd = -1
        self._offset = 0
        self._left = 0
        self._warm_to = 0
        self._sent = 0
        self._pending: Deferred[Any] | None = None
        self._begun = False
        self._registered = False
        self._registering = False
        self._watched = False
        self._over = False

    def start(self, reading: Deferred[Piece | None] | None = None) -> None:
        """
        Begin; the transport must have nothing to write.

        Nothing leaves before the first piece of the body is there: until then
        an error can still be told, and then both fit one packet.

        :param reading: of the first piece.
        """
        if reading is not None:
            self._receive(reading)
        if self._pending is None:
            self._begin()

    def start_within(self, file: FileSpan, sent: int) -> None:
        """
        Begin where L{send_at_once} had to stop.

        :param file: the first piece.
        :param sent: how many bytes left, of the head and then of the file.
        """
        assert self._memory is not None
        head = len(self._memory)
        self._sent = sent
        self._fd = file.fd
        self._offset = file.offset
        self._left = file.length
        if sent < head:
            self._memory = self._memory[sent:]
        else:
            self._memory = None
            self._offset += sent - head
            self._left -= sent - head
        self._begin()

    def _begin(self) -> None:
        self._begun = True
        self._push()
        if self._over:
            # The socket took all at once, as it mostly does.
            return
        self._registered = self._registering = True
        self._transport.registerProducer(self, False)
        self._registering = False

    def stopProducing(self) -> None:
        self.finish(Failure(ConnectionError("The client is gone.")))

    def resumeProducing(self) -> None:
        if not self._registering:
            # The transport has stopped watching the socket.
            self._watched = False
            self._push()

    def _push(self) -> None:
        """Send what the socket takes."""
        budget = TURN
        connection = self._connection
        connection.touched = connection.site.now
        try:
            while not self._over:
                memory = self._memory
                if memory is not None:
                    wanted = len(memory)
                    sent = self._socket.send(
                        memory, MSG_MORE if self._left or self._after else 0
                    )
                    if sent == wanted:
                        self._memory, self._after = self._after, None
                    else:
                        self._memory = memory[sent:]
                elif self._pending is not None:
                    break
                elif self._left:
                    wanted = self._warm()
                    if not wanted:
                        break
                    sent = os.sendfile(
                        self._socket.fileno(), self._fd, self._offset, wanted
                    )
                    if not sent:
                        # The file is shorter than it was: the rest does not exist.
                        self.finish(Failure(EOFError("The file was cut short.")))
                        return
                    self._offset += sent
                    self._left -= sent
                elif self._body is None:
                    self.finish(None)
                    return
                else:
                    self._receive(self._body.read())
                    continue
                self._sent += sent
                budget -= sent
                if sent < wanted or budget <= 0:
                    self._wait()
                    return
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError:
            self.finish(Failure())
            return
        self._unwire()

    def _wait(self) -> None:
        """Have the reactor tell when the socket can take more."""
        if self._over or self._watched:
            return
        self._watched = True
        # A bound method, which the transport then has as if it were its own.
        self._transport.doWrite = self._push
        self._transport.startWriting()

    def _unwire(self) -> None:
        """Leave the transport as it was."""
        self._watched = False
        # One that was aborted has something else there.
        if self._transport.__dict__.get("doWrite") == self._push:
            del self._transport.doWrite

    def _receive(self, reading: Deferred[Piece | None]) -> None:
        if reading.called and not reading.paused:
            result = reading.result
            if result is None or isinstance(result, (bytes, memoryview, FileSpan)):
                self._take(result)
                return
        self._pending = reading
        reading.addCallbacks(self._arrived, self._failed)

    def _take(self, piece: Piece | None) -> None:
        if piece is None:
            body, self._body = self._body, None
            if body is not None:
                body.close()
        elif isinstance(piece, FileSpan):
            if piece.fd != self._fd or piece.offset != self._offset:
                self._warm_to = 0
            self._fd = piece.fd
            self._offset = piece.offset
            self._left = piece.length
        elif self._memory is not None:
            self._after = memoryview(piece)
        else:
            self._memory = memoryview(piece)

    def _arrived(self, piece: Piece | None) -> None:
        self._pending = None
        if self._over:
            return
        self._take(piece)
        if self._begun:
            self._push()
        else:
            self._begin()

    def _failed(self, failure: Failure) -> None:
        self._pending = None
        self.finish(failure)

    def _warm(self) -> int:
        """
        How many of the next bytes of the file are in memory; if none, they are
        being brought there and we are called again.
        """
        fd = self._fd
        offset = self._offset
        end = offset + self._left
        to = self._warm_to
        if to > offset or is_at_hand(fd, offset):
            to = max(to, offset)
            least = min(end, offset + AHEAD)
            while to < least:
                # Where one stretch ends in memory, the next begins there.
                last = min(to + STRETCH, end)
                if not is_at_hand(fd, last - 1):
                    break
                to = last
            if to > offset:
                self._warm_to = to
                return min(to, end) - offset
        count = min(end - offset, STRETCH)
        self._pending = self._threads.run(bring_in, fd, offset, count)
        self._pending.addCallbacks(
            self._warmed, self._failed, callbackArgs=(offset + count,)
        )
        return 0

    def _warmed(self, _: None, to: int) -> None:
        self._pending = None
        if not self._over:
            self._warm_to = to
            self._push()

    def finish(self, failure: Failure | None) -> None:
        """
        End: all was sent, or C{failure} says why not.
        """
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
        self._unwire()
        if self._registered and not self._connection.lost:
            self._transport.unregisterProducer()
        self._done(self._sent, failure)


def send_at_once(
    socket: Any, head: bytes, descriptor: int, offset: int, length: int
) -> int:
    """
    Send a head and bytes of a file after it, as far as the socket takes them and
    the bytes are in memory: without anything made for it, which is what serving
    a range or a small file would else mostly consist of.

    :result: how many bytes left, of both together; the file's only after all of
        the head.
    :raises OSError: the socket fails.
    """
    sent = 0
    try:
        if is_warm(descriptor, offset, length):
            sent = socket.send(head, MSG_MORE)
            if sent == len(head):
                sent += os.sendfile(socket.fileno(), descriptor, offset, length)
    except (BlockingIOError, InterruptedError):
        pass
    return sent
