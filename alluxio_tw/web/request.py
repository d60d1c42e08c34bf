"""
A request, as it came, and the bytes of its body as they come.

L{Request} is what the leaf that serves S3 is given: lean, since one is made for
every request.  L{TreeRequest<alluxio_tw.web.tree.TreeRequest>} dresses it as an
L{IRequest<twisted.web.iweb.IRequest>} for ordinary resources.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.errors import IncompleteBody, InvalidRequest
from alluxio_tw.gateway.identity import ANONYMOUS
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.s3.sigv4 import ChunkSigner
from alluxio_tw.web.intake import STRIDE

if TYPE_CHECKING:
    from alluxio_tw.web.admission import Pass
    from alluxio_tw.web.connection import HTTPConnection

BATCH = 256 << 10
"""
A reader of a body is woken for at least so many bytes (or the end): it goes to
a thread with them, and the way there costs as much as copying a few of these.
"""

HIGH_WATER = 512 << 10
"""The socket is not read while so much lies unread."""


class Request:
    """
    One request.

    :ivar connection: where it came from and the reply goes.
    :ivar method: as sent, in capitals.
    :ivar target: the request target, raw.
    :ivar headers: by lower-case name; repeated ones joined by commas.
    :ivar keep_alive: whether the client would have the connection kept.
    :ivar http_1_0: whether the client speaks HTTP/1.0.
    :ivar body: L{None} if the request has none.
    :ivar received: it was wholly received.
    :ivar answered: the reply was wholly given to the transport.
    :ivar sending: a reply is on its way and waits for the client.
    :ivar started: C{perf_counter} seconds when its header block was complete.
    :ivar number: counts the requests of this process.
    :ivar operation: what the leaf found it to be; for metrics and the log.
    :ivar user: who asks, once known; for metrics and the log.
    :ivar identity: likewise, for those who judge what they may.
    :ivar extra: rendered header lines for whatever the answer is.
    :ivar signer: proves the chunks of a signed body; L{None} lets them pass.
    :ivar admitted: what lets it be worked on, to be given back at its end; L{None}
        if it needed none.
    :ivar on_lost: called once if the client goes before the reply is whole.
    """

    __slots__ = (
        "admitted",
        "again",
        "answered",
        "body",
        "bucket",
        "bytes_out",
        "cache",
        "connection",
        "error",
        "extra",
        "first_byte",
        "headers",
        "http_1_0",
        "identity",
        "keep_alive",
        "key",
        "method",
        "number",
        "on_lost",
        "operation",
        "received",
        "sending",
        "signer",
        "started",
        "status",
        "target",
        "user",
    )

    def __init__(
        self,
        connection: HTTPConnection,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.target = target
        self.headers = headers
        self.keep_alive = keep_alive
        self.http_1_0 = False
        self.body: RequestBody | None = None
        self.received = False
        self.answered = False
        self.again = False
        self.sending = False
        self.started = perf_counter()
        site = connection.site
        self.number = site.numbers = site.numbers + 1
        self.operation = "Unknown"
        self.user = ""
        self.identity = ANONYMOUS
        self.signer: ChunkSigner | None = None
        self.bucket = ""
        self.key = ""
        self.cache = ""
        self.error = ""
        self.extra = b""
        self.status = 0
        self.bytes_out = 0
        self.first_byte = 0.0
        self.admitted: Pass | None = None
        self.on_lost: Callable[[Failure], None] | None = None

    def over(self) -> None:
        """Nobody works on it any more: what it held is given back."""
        if self.admitted is not None:
            self.admitted.leave()
        if self.body is not None:
            self.body.drop()

    @property
    def id(self) -> str:
        """C{x-amz-request-id}: unique among all processes' requests."""
        return f"{self.connection.site.id_prefix}{self.number & 0xFFFFFFFF:08X}"

    def connection_lost(self, reason: Failure) -> None:
        """The client is gone; what is left to do is to stop."""
        told, self.on_lost = self.on_lost, None
        if told is not None:
            told(reason)

    def __repr__(self) -> str:
        state = (
            "answered"
            if self.answered
            else "sending"
            if self.sending
            else "received"
            if self.received
            else "receiving"
        )
        return f"<Request {self.number} {self.method!r} {state}>"


@implementer(IBody)
class RequestBody:
    """
    The body of a request, pulled from the socket by its reader.

    :ivar length: what C{Content-Length} says, or L{None} if it is chunked.
    :ivar expects: the client waits for C{100 Continue}; the first read sends it.
    :ivar starving: a reader waits and the client sends nothing.
    :ivar got: how many bytes arrived.
    """

    def __init__(self, connection: HTTPConnection, length: int | None) -> None:
        self.length = length
        self.expects = False
        self.starving = False
        self.got = 0
        self._connection = connection
        self._intake = connection.site.intake
        self._pieces: deque[bytes] = deque()
        self._held = 0
        self._lent = 0
        self._whole = False
        self._unwanted = False
        self._error: Exception | None = None
        self._reader: Deferred[Piece | None] | None = None
        self._arriving = length is None or length > STRIDE
        if self._arriving:
            self._intake.bodies += 1
            connection.stride(self._intake.stride)

    # --- the connection's side

    def feed(self, data: bytes) -> None:
        """Some bytes arrived."""
        self.got += len(data)
        if self._unwanted:
            return
        self._pieces.append(data)
        self._held += len(data)
        intake = self._intake
        intake.used += len(data)
        if self._reader is not None:
            if self._held >= BATCH or intake.scarce:
                self._deliver()
        elif self._held >= HIGH_WATER or intake.scarce:
            self._connection.hold()

    def complete(self) -> None:
        """All of it arrived."""
        self._whole = True
        self._arrived()
        if self._reader is not None:
            self._deliver()

    def fail(self, error: Exception) -> None:
        """The rest will not come, or not as it should."""
        if self._error is None and not self._whole:
            self._error = error
        self._arrived()
        if self._reader is not None:
            self._deliver()

    def lost(self) -> None:
        """The connection is gone."""
        if not self._whole:
            # Nobody can use a part of it.
            self._empty()
        self.fail(IncompleteBody())

    def left(self) -> int | None:
        """How many bytes are still to arrive, if that is known."""
        if self._whole:
            return 0
        return None if self.length is None else self.length - self.got

    def discard(self) -> None:
        """Let the rest come and be forgotten."""
        self._unwanted = True
        self._arrived()
        self._empty()
        self._connection.unhold()

    # --- the reader's side

    def read(self) -> Deferred[Piece | None]:
        if self._reader is not None:
            return fail(InvalidRequest("One read of a body at a time."))
        # Who asks for the next piece is done with the last.
        self._intake.used -= self._lent
        self._lent = 0
        if self.expects:
            self.expects = False
            if not self.got and not self._whole and self._error is None:
                # Of who did not wait for it, it would only be in the way.
                self._connection.site.go_on(self._connection)
        if (
            self._whole
            or self._held >= BATCH
            or self._error is not None
            or (self._held and self._intake.scarce)
        ):
            return self._next()
        self._reader = Deferred(self._forget)
        self.starving = True
        self._connection.unhold()
        return self._reader

    def close(self) -> None:
        reader, self._reader = self._reader, None
        self.starving = False
        if reader is not None:
            reader.errback(Failure(IncompleteBody()))
        if not self._whole:
            self._unwanted = True
        self.drop()

    def drop(self) -> None:
        """Nobody needs what is here."""
        self._empty()
        self._intake.used -= self._lent
        self._lent = 0

    # --- within

    def _arrived(self) -> None:
        """Nothing more of it comes, or is taken."""
        if self._arriving:
            self._arriving = False
            self._intake.bodies -= 1
            self._connection.stride(STRIDE)

    def _empty(self) -> None:
        self._intake.used -= self._held
        self._held = 0
        self._pieces.clear()

    def _forget(self, _: Deferred[Piece | None]) -> None:
        self._reader = None
        self.starving = False

    def _next(self) -> Deferred[Piece | None]:
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._lent = self._held
            self._held = 0
            if not (self._whole or self._intake.scarce):
                self._connection.unhold()
            return succeed(data)
        if self._error is not None:
            return fail(self._error)
        return succeed(None)

    def _deliver(self) -> None:
        reader, self._reader = self._reader, None
        self.starving = False
        assert reader is not None
        self._next().chainDeferred(reader)
