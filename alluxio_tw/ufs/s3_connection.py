"""
A connection to an S3 server: one request, then its answer, then perhaps another.

Heads are read by httptools; of a body whose length is told, the bytes pass as the
socket gave them.  Not chosen: C{twisted.web.client.Agent}, which was here first
(docs/adr/0007-an-http-client-for-the-s3-driver.md): it costs a millisecond of CPU
for each request, hands bodies on in pieces of 64 KiB at most, and has a connection
back only after whoever waited for the answer has opened another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from httptools import HttpParserError, HttpResponseParser
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from alluxio_tw.congestion import by_distance
from alluxio_tw.errors import StorageUnavailable
from alluxio_tw.ibody import IBody
from alluxio_tw.ufs.s3_bodies import Arrival, Relaying, Sending

HEAD_MOST = 64 << 10
"""Bytes of an answer's head."""

SEND = 1 << 20
"""Bytes that are offered to a socket at a time."""

READ = 1 << 20
"""Bytes that are read from a socket at a time, while few are."""


class Broken(Exception):
    """
    The connection ended before the answer began.

    :ivar reasons: why.
    :ivar stale: it had been idle, and not a byte came: most likely the server had
        closed it before it was asked.
    """

    def __init__(self, reason: Failure, stale: bool = False) -> None:
        super().__init__(reason.getErrorMessage())
        self.reasons = [reason]
        self.stale = stale


class Garbled(Exception):
    """What was answered is no HTTP."""


@attrs.frozen(eq=False)
class Response:
    """
    An answer, as far as its head.

    :ivar headers: by lower-case name; those that came more than once are joined.
    :ivar arrival: its body, which must be closed.
    """

    code: int
    headers: Mapping[bytes, bytes]
    arrival: Arrival = attrs.field(repr=False)


class Connection(Protocol):
    """
    The protocol.

    :ivar lost: it is closed.
    :ivar used: it has been asked something, and answered.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rested: Callable[[Connection], None],
        gone: Callable[[Connection], None],
    ) -> None:
        """
        :param rested: called when it may be asked again.
        :param gone: called once, when it is closed.
        """
        self._clock = clock
        self._rested = rested
        self._gone = gone
        self._exchange: _Exchange | None = None
        self._sending: Sending | Relaying | None = None
        self.lost = False
        self.used = False
        self._aborted = False
        self._paused = False

    def __repr__(self) -> str:
        state = "lost" if self.lost else "busy" if self._exchange else "idle"
        return f"<Connection: {state}>"

    def connectionMade(self) -> None:
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        beneath: Any = self.transport
        end = getattr(getattr(beneath, "transport", beneath), "socket", None)
        # How much Twisted sends in a turn; its own measure is for many small ones.
        beneath.SEND_LIMIT = SEND
        settle = by_distance()
        if settle is not None and end is not None:
            settle(end)

    def ask(
        self,
        method: bytes,
        head: bytes,
        body: Sequence[bytes | memoryview] | IBody,
        moved: Callable[[], None],
        timeout: float,
        read: int = READ,
    ) -> Deferred[Response]:
        """
        Send a request.  Cancelling the result closes the connection.

        :param head: up to and with the empty line.
        :param moved: called whenever bytes of the body went.
        :param timeout: seconds that a reader of the answer waits for bytes.
        :param read: how many bytes to take from the socket at a time.
        :raises Broken: there is no answer.
        """
        if self.lost or self._aborted:
            return fail(Broken(Failure(ConnectionError("closed")), self.used))
        answered: Deferred[Response] = Deferred(self._forsaken)
        self._exchange = _Exchange(self, method == b"HEAD", answered, timeout)
        transport: Any = self.transport
        # Of TLS the socket is further down; its records are short anyway.
        if hasattr(transport, "bufferSize"):
            transport.bufferSize = read
        transport.write(head)
        if IBody.providedBy(body):
            self._sending = Relaying(body, moved)
        elif body:
            self._sending = Sending(body, moved)
        if self._sending is not None:
            self._sending.start(transport)
        return answered

    def arrival(self, length: int | None, timeout: float) -> Arrival:
        """The body of the answer that now begins."""
        return Arrival(length, self._clock, timeout, self)

    def rest(self, keep_alive: bool) -> None:
        """The answer has ended."""
        self._exchange = None
        self.used = True
        sending, self._sending = self._sending, None
        if sending is not None and not sending.over:
            # It did not want to hear the end of it.
            sending.stopProducing()
            keep_alive = False
        if keep_alive and not (self.lost or self._aborted):
            # Of TLS more may come than the socket was asked for.
            self.resumeProducing()
            self._rested(self)
        else:
            self.abort()

    def abort(self) -> None:
        """Close it, and wait for nobody."""
        if self.lost or self._aborted:
            return
        self._aborted = True
        transport: Any = self.transport
        abort = getattr(transport, "abortConnection", None)
        (abort or transport.loseConnection)()

    def pauseProducing(self) -> None:
        """Nobody can take more."""
        if not (self.lost or self._paused):
            self._paused = True
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def resumeProducing(self) -> None:
        """More can be taken."""
        if self._paused and not self.lost:
            self._paused = False
            self.transport.resumeProducing()  # type: ignore[union-attr]

    # What the transport says

    def dataReceived(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None or self._aborted:
            # Nobody asked, or wants to know any more.
            self.abort()
            return
        try:
            exchange.take(data)
        except Garbled as error:
            exchange.fail(Failure(error))
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True
        exchange, self._exchange = self._exchange, None
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.stopProducing()
        self._gone(self)
        if exchange is not None:
            exchange.end(reason, self.used)

    def _forsaken(self, answered: Deferred[Response]) -> None:
        self.abort()


class _Exchange:
    """
    An answer being read: httptools calls it with what it finds.
    """

    def __init__(
        self,
        connection: Connection,
        bare: bool,
        answered: Deferred[Response],
        timeout: float,
    ) -> None:
        """
        :param bare: the answer has no body, whatever its head says.
        """
        self._connection = connection
        self._bare = bare
        self._answered: Deferred[Response] | None = answered
        self._timeout = timeout
        self._parser = HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._size = 0
        self._code = 0
        self._keep_alive = False
        # Bytes of the body that are still to come, if they are counted here.
        self._left: int | None = None
        self._to_the_end = False
        self._chunks: list[bytes] = []
        self._whole = False
        self._arrival: Arrival | None = None

    def take(self, data: bytes) -> None:
        """
        Some bytes came.

        :raises Garbled: they are no HTTP, or more than were told of.
        """
        arrival = self._arrival
        if arrival is not None and self._left is not None:
            self._left -= len(data)
            if self._left > 0:
                arrival.feed(data)
                return
            if self._left < 0:
                data = data[: self._left]
            self._finish(arrival, [data], self._left == 0 and self._keep_alive)
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            raise Garbled("The storage answers what is no HTTP.") from error
        if not self._code:
            self._size += len(data)
            if self._size > HEAD_MOST:
                raise Garbled("The storage answers without end.")
            return
        chunks, self._chunks = self._chunks, []
        if self._left is not None:
            self._left -= sum(map(len, chunks))
            self._whole = self._left <= 0
        if arrival is None:
            arrival = self._arrival = self._connection.arrival(
                self._left_at_first(chunks), self._timeout
            )
            answered, self._answered = self._answered, None
            assert answered is not None
            response = Response(self._code, self._headers, arrival)
            if self._whole:
                # The connection is free before anybody hears, and opens another.
                self._finish(arrival, chunks, self._keep_alive)
                chunks = []
            answered.callback(response)
        elif self._whole:
            self._finish(arrival, chunks, self._keep_alive)
            return
        for chunk in chunks:
            arrival.feed(chunk)

    def _left_at_first(self, chunks: Sequence[bytes]) -> int | None:
        if self._left is None:
            return 0 if self._whole and not chunks else None
        return self._left + sum(map(len, chunks))

    def _finish(
        self, arrival: Arrival, chunks: Sequence[bytes], keep_alive: bool
    ) -> None:
        self._whole = True
        self._connection.rest(keep_alive)
        arrival.finish(chunks)

    def fail(self, failure: Failure) -> None:
        """The answer is of no use."""
        self._connection._exchange = None
        answered, self._answered = self._answered, None
        if answered is not None:
            answered.errback(Failure(Broken(failure)))
        elif self._arrival is not None:
            self._arrival.fail(StorageUnavailable("The storage broke off."))

    def end(self, reason: Failure, used: bool) -> None:
        """The connection has gone."""
        if self._answered is not None:
            answered, self._answered = self._answered, None
            if not answered.called:
                stale = used and not self._size and not self._code
                answered.errback(Failure(Broken(reason, stale)))
        elif self._arrival is not None:
            if self._to_the_end:
                self._arrival.finish(())
            else:
                self._arrival.fail(StorageUnavailable("The storage broke off."))

    # What httptools says

    def on_header(self, name: bytes, value: bytes) -> None:
        """A line of the head."""
        name = name.lower()
        before = self._headers.get(name)
        self._headers[name] = value if before is None else before + b"," + value

    def on_headers_complete(self) -> None:
        """The head is at its end."""
        code = self._parser.get_status_code()
        if code < 200:
            self._headers = {}
            return
        if self._code:
            # A second answer to one question.
            self._keep_alive = False
            return
        self._code = code
        self._keep_alive = self._parser.should_keep_alive()
        if self._bare or code in (204, 304):
            self._whole = True
            return
        length = self._headers.get(b"content-length")
        if b"transfer-encoding" in self._headers:
            return
        if length is None:
            self._to_the_end = True
        else:
            self._left = int(length)

    def on_body(self, data: bytes) -> None:
        """Bytes of the body."""
        if self._whole:
            # Of an answer that has none.
            self._keep_alive = False
        else:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        """The answer is at its end."""
        if self._code:
            self._whole = True
