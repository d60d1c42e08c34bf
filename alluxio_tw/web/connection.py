"""
One HTTP/1.1 connection: bytes in, requests out, in order.

Theory of operation.  C{httptools} (llhttp) parses what arrives and calls the
C{on_*} methods below.  A request is handed to the L{Site<alluxio_tw.web.site.Site>}
as soon as its header block is complete; its body, if it has one, is pulled by
whoever serves it through L{RequestBody<alluxio_tw.web.request.RequestBody>}.

Requests that arrive while one is being answered (pipelining) wait in C{_waiting}
and reading from the socket stops, so at most one received chunk's worth of them
can pile up.  A request is over when it was wholly answered I{and} wholly received;
then the next begins.

Timeouts are not timers: the site looks over its connections once a second and
asks each L{overdue}.  Resetting a timer for every request would cost more than
parsing it.

Beyond 400 lines, for the states of a connection are not to be read apart.

Not chosen: C{twisted.web.http.HTTPChannel}.  It spools a request's whole body
before anything is told of it, and costs eight times the CPU on a small GET.
"""

from __future__ import annotations

from collections import deque
from socket import AF_UNIX, IPPROTO_TCP, TCP_NODELAY
from typing import TYPE_CHECKING, Any

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from alluxio_tw.errors import (
    CallerError,
    InvalidRequest,
    InvalidURI,
    RequestHeaderSectionTooLarge,
    RequestTimeout,
)
from alluxio_tw.web.request import Request, RequestBody

if TYPE_CHECKING:
    from alluxio_tw.web.site import Site

LINGER_BYTES = 4 << 20
"""How much of an unwanted body is read and thrown away to keep a connection."""

LINGER_SECONDS = 2.0
"""How long a refused sender may be silent before it is not listened to any more."""

LINGER_MOST_SECONDS = 30.0
"""How long it is listened to at all, so that it can read why."""

_PROBE_SECONDS = 2.0
"""After so long it is asked whether a client that sends nothing more is there."""


@implementer(IHalfCloseableProtocol)
class HTTPConnection(Protocol):
    """
    The server's end of a connection.

    :ivar peer: the client's address, as text.
    :ivar secure: whether this is TLS.
    :ivar socket: the socket to write to without detour; L{None} on TLS.
    """

    def __init__(self, site: Site, peer: str, secure: bool) -> None:
        self.site = site
        self.peer = peer
        self.secure = secure
        self.socket: Any = None
        # The transport of the socket: beneath TLS, if there is any.
        self._wire: Any = None
        self.touched = site.now
        self.current: Request | None = None
        self._waiting: deque[Request] = deque()
        self._receiving: Request | None = None
        self._parser = HttpRequestParser(self)
        self._feed = self._parser.feed_data
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_size = 0
        self._head_since = 0.0
        self._held = 0
        self._holding = False
        self._advancing = False
        self._closing = False
        self._closed_since = 0.0
        self._lingering = 0
        self._broken = False
        self._bodiless = False
        self._ended = False
        self._probe_at = 0.0
        self._probe_wait = 1.0
        self._refused: CallerError | None = None
        self.lost = False

    # --- the transport's side ---------------------------------------------

    def connectionMade(self) -> None:
        transport: Any = self.transport
        own = getattr(transport, "socket", None)
        if own is not None and own.family == AF_UNIX:
            # The control socket: no TCP, and no hurry.
            self._wire = transport
        elif not self.secure and hasattr(transport, "socket"):
            self.socket = transport.socket
            self.socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._settle(transport)
        elif hasattr(transport, "setTcpNoDelay"):
            transport.setTcpNoDelay(True)
            # Beneath TLS.
            self._settle(getattr(transport, "transport", None))
        self.touched = self.site.now
        self.site.opened(self)

    def _settle(self, transport: Any) -> None:
        """What a TCP connection gets when it is new."""
        self._wire = transport
        settle = self.site.settle
        if settle is not None and hasattr(transport, "socket"):
            settle(transport.socket)
        self.site.watch(transport)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = True
        self.site.closed(self)
        receiving, self._receiving = self._receiving, None
        if receiving is not None and receiving.body is not None:
            receiving.body.lost()
        current, self.current = self.current, None
        if current is not None:
            current.connection_lost(reason)
        for request in self._waiting:
            request.connection_lost(reason)
            request.over()
        self._waiting.clear()

    def readConnectionLost(self) -> None:
        """
        The client sends nothing more (on plain TCP, where that can be told).

        Whoever waits for an answer may still listen, or may be gone: the network
        does not say which.  So the request is served, and if that takes long it is
        found out by writing; see L{overdue}.
        """
        self._ended = True
        self._probe_at = self.site.now + _PROBE_SECONDS
        receiving, self._receiving = self._receiving, None
        if receiving is not None and receiving.body is not None:
            receiving.keep_alive = False
            receiving.body.lost()
        if self._closing or self.current is None:
            transport: Any = self.transport
            transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """We send nothing more: we know."""

    def dataReceived(self, data: bytes) -> None:
        self.touched = self.site.now
        while data:
            if self._closing:
                self._lingering -= len(data)
                if self._lingering < 0:
                    self._abort()
                return
            data = self._parse(data)

    def _parse(self, data: bytes) -> bytes:
        """
        Feed the parser.

        :result: what is left for another one.
        """
        size_before = self._head_size
        try:
            self._feed(data)
        except HttpParserUpgrade as upgrade:
            return self._decline_upgrade(data, upgrade)
        except HttpParserCallbackError as error:
            # Ours: a callback below refused, or broke.
            cause = error.__context__ or error
            self._refuse(cause if isinstance(cause, CallerError) else None, cause)
        except HttpParserError as error:
            self._refuse(_malformed(error), error)
        else:
            if self._url and not self._head_since:
                self._head_since = self.site.now
            if self._held < 0:
                # This chunk took the parser over some boundary.
                self._held = 0
            elif size_before == self._head_size and (self._url or self._receiving):
                # A line of a header block or a trailer section, longer than
                # what came with this chunk: the parser holds it, so it is
                # counted here.
                self._held += len(data)
                limits = self.site.limits
                if self._held > limits.head + limits.url:
                    self._refuse(
                        RequestHeaderSectionTooLarge(MaxSizeAllowed=str(limits.head)),
                        None,
                    )
        return b""

    # --- the parser's side ---------------------------------------------------

    def on_url(self, url: bytes) -> None:
        """Part of the request target; a chunk boundary may split it."""
        if self._url:
            url = self._url + url
        self._url = url
        if len(url) > self.site.limits.url:
            raise InvalidURI("The request URI is too long.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header line; one of a trailer section is let pass unread."""
        size = self._head_size = self._head_size + len(name) + len(value) + 4
        if size > self.site.limits.head:
            raise RequestHeaderSectionTooLarge(
                MaxSizeAllowed=str(self.site.limits.head)
            )
        if self._receiving is not None:
            return
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name in _SINGLE:
                raise InvalidRequest(
                    f"The header {name.decode('latin-1')} was given more than once."
                )
            value = headers[name] + b"," + value
        # The parser leaves what is blank at the end (RFC 9112, 5.1).
        headers[name] = value.rstrip(b" \t")

    def on_headers_complete(self) -> None:
        """The header block is whole: the request begins."""
        if self._bodiless:
            # Of nobody's: see L{_decline_upgrade}.
            return
        if self._closing:
            # What follows the last request is not read any more.
            self._url = b""
            self._headers = {}
            return
        parser = self._parser
        headers = self._headers
        url = self._url
        self._headers = {}
        self._url = b""
        self._head_size = 0
        self._head_since = 0.0
        self._held = -1
        keep_alive = parser.should_keep_alive()
        request = Request(self, parser.get_method(), url, headers, keep_alive)
        if not keep_alive or b"connection" in headers:
            # Worth asking only here: it formats a text.
            version = parser.get_http_version()
            request.http_1_0 = version == "1.0"
            if version not in ("1.0", "1.1"):
                raise InvalidRequest("The request is not of HTTP/1.0 or HTTP/1.1.")
        length = headers.get(b"content-length")
        if length is not None and length != b"0":
            request.body = RequestBody(self, int(length))
        elif b"transfer-encoding" in headers:
            request.body = RequestBody(self, None)
        if request.body is not None:
            if not request.http_1_0:
                request.body.expects = (
                    headers.get(b"expect", b"").lower() == b"100-continue"
                )
            # Of a request that offers an upgrade, this parser reads no body.
            self._bodiless = parser.should_upgrade()
        self._receiving = request
        if self.current is None and not self._waiting:
            self._begin(request)
        else:
            self._waiting.append(request)
            self.hold()

    def on_body(self, data: bytes) -> None:
        """Some bytes of the body of the request being received."""
        self._held = -1
        receiving = self._receiving
        if receiving is not None and receiving.body is not None:
            receiving.body.feed(data)

    def on_message_complete(self) -> None:
        """The request being received is whole."""
        if self._bodiless:
            return
        # Of a trailer section.
        self._head_size = 0
        self._held = -1
        receiving, self._receiving = self._receiving, None
        if receiving is None:
            return
        receiving.received = True
        if receiving.body is not None:
            receiving.body.complete()
        if receiving.answered and receiving is self.current:
            self._over(receiving)

    # --- the request's side ----------------------------------------------------

    def stride(self, size: int) -> None:
        """Read so many bytes at a time from the socket."""
        if hasattr(self._wire, "bufferSize"):
            self._wire.bufferSize = size

    def hold(self) -> None:
        """Stop reading from the socket: what was received is not taken yet."""
        if not self._holding and not self.lost:
            self._holding = True
            transport: Any = self.transport
            transport.pauseProducing()

    def unhold(self) -> None:
        """Read on, unless other requests wait."""
        if self._holding and not self._waiting and not self.lost:
            self._holding = False
            transport: Any = self.transport
            transport.resumeProducing()

    def answered(self, request: Request) -> None:
        """The reply to C{request} has wholly been given to the transport."""
        self.touched = self.site.now
        request.answered = True
        if request is not self.current:
            return
        if request.received:
            self._over(request)
        elif not request.keep_alive:
            self.current = None
            self._close()
        else:
            # The rest of its body is of no interest, but stands between us
            # and the next request.
            body = request.body
            if body is not None:
                body.discard()

    def will_keep(self, request: Request) -> bool:
        """
        Whether the connection can go on after C{request}; asked when its reply
        is written.
        """
        if not request.keep_alive or self.site.draining:
            return False
        body = request.body
        if request.received or body is None:
            return True
        if body.expects:
            # It may send the body or not: nobody can tell where the next
            # request would begin.
            return False
        left = body.left()
        return left is not None and left <= LINGER_BYTES

    def overdue(self, now: float) -> str:
        """
        What has taken too long on this connection, or the empty text.

        :param now: seconds on the site's clock.
        """
        limits = self.site.limits
        quiet = now - self.touched
        if self._closing:
            if not self._lingering:
                # The transport still has something of the reply to send.
                return "close" if quiet > limits.write_seconds else ""
            long = now - self._closed_since > LINGER_MOST_SECONDS
            return "linger" if long or quiet > LINGER_SECONDS else ""
        current = self.current
        if current is None:
            if self._head_since:
                return "head" if now - self._head_since > limits.head_seconds else ""
            if limits.idle_seconds and quiet > limits.idle_seconds:
                return "idle"
            return ""
        if current.sending:
            return "write" if quiet > limits.write_seconds else ""
        if self._ended and now > self._probe_at and not current.http_1_0:
            return "probe"
        if current.answered:
            # Only the rest of an unwanted body is waited for.
            return "rest" if quiet > limits.body_seconds else ""
        if current.body is not None and current.body.starving:
            return "body" if quiet > limits.body_seconds else ""
        return ""

    def expire(self, what: str) -> None:
        """Act on L{overdue}."""
        current = self.current
        if what == "body" and current is not None and current.body is not None:
            # Whoever reads the body is told, and answers 400 RequestTimeout.
            current.keep_alive = False
            current.body.fail(RequestTimeout())
        elif what == "head":
            self._refuse(RequestTimeout(), None)
        elif what == "probe":
            # If nobody is there, an answer to it, or to the next, says so; who is
            # there passes over it (RFC 9110, 15.2).
            self._probe_at = self.site.now + self._probe_wait
            self._probe_wait *= 2
            self.site.go_on(self)
        elif what == "write":
            self._abort()
        else:
            transport: Any = self.transport
            transport.loseConnection()
            if what in ("linger", "close"):
                self._abort()

    def drain(self) -> None:
        """The site is closing: no further request; close when idle."""
        if self.current is None and self._receiving is None:
            transport: Any = self.transport
            transport.loseConnection()

    # --- within ------------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        self.current = request
        if (
            request.body is None
            and b"expect" in request.headers
            and b"content-length" in request.headers
            and request.headers[b"expect"].lower() == b"100-continue"
            and not request.http_1_0
        ):
            # Nothing is to come, and yet it waits.  AWS's CLI, told the end of it
            # at once, takes the connection's next answer for a part of this one.
            self.site.go_on(self)
        self.site.serve(request)

    def _is_busy(self) -> bool:
        return self.current is not None

    def _over(self, request: Request) -> None:
        self.current = None
        if not request.keep_alive:
            self._close()
            return
        if self._waiting:
            # In a loop: answering one may finish it and come here again, and
            # a client may have sent a thousand.
            if self._advancing:
                return
            self._advancing = True
            try:
                while self._waiting and not (self._is_busy() or self._closing):
                    self._begin(self._waiting.popleft())
            finally:
                self._advancing = False
        if self._closing or self._is_busy():
            return
        if self._refused is not None:
            refused, self._refused = self._refused, None
            self._refuse(refused, None)
        elif self.site.draining or self._ended:
            self._close()
        elif self._holding:
            self.unhold()

    def _refuse(self, error: CallerError | None, cause: BaseException | None) -> None:
        """
        What arrived cannot be read as HTTP, or not within the limits: say so
        once the requests before it are answered, and close.
        """
        if self._closing:
            return
        if error is None:
            # We are at fault, and nobody knows how far the answer had come.
            self.site.log_failure(cause)
            self._abort()
            return
        self._broken = True
        receiving, self._receiving = self._receiving, None
        current = self.current
        if receiving is not None and receiving.body is not None:
            # The request had begun: its body broke.
            receiving.keep_alive = False
            receiving.body.fail(error)
            if receiving is current:
                return
        if current is not None:
            self._refused = error
            self.hold()
            return
        # So far as it is known, and of use: whether the answer may have a body.
        method = b"HEAD" if self._parser.get_method() == b"HEAD" else b""
        url = self._url[: self.site.limits.url]
        request = Request(self, method, url, {}, False)
        request.received = True
        self.current = request
        self.site.refuse(request, error)

    def _decline_upgrade(self, data: bytes, upgrade: HttpParserUpgrade) -> bytes:
        """
        We speak nothing but HTTP/1.1: an C{Upgrade} is ignored, as RFC 9110
        7.8 allows, and what follows read by a new parser: the next request, or
        the body of this one, which the new parser takes for that of a request
        without the offer.
        """
        offset = upgrade.args[0] if upgrade.args else len(data)
        rest = data[offset:]
        self._parser = parser = HttpRequestParser(self)
        self._feed = parser.feed_data
        receiving = self._receiving
        if self._bodiless and receiving is not None and receiving.body is not None:
            length = receiving.body.length
            parser.feed_data(
                b"PUT / HTTP/1.1\r\n%b\r\n\r\n"
                % (
                    b"Transfer-Encoding: chunked"
                    if length is None
                    else b"Content-Length: %d" % length
                )
            )
            self._url = b""
            self._head_size = 0
        self._bodiless = False
        return rest

    def _close(self) -> None:
        """
        Close so that the client can read the reply: closing a socket that has
        unread bytes in it sends a reset, which overtakes what we wrote.
        """
        if self._closing or self.lost:
            return
        self._closing = True
        self._closed_since = self.touched = self.site.now
        transport: Any = self.transport
        receiving, self._receiving = self._receiving, None
        more = receiving is not None and receiving.body is not None
        if self._ended or not (more or self._holding or self._broken):
            transport.loseConnection()
            return
        self._lingering = LINGER_BYTES
        if self._holding:
            self._holding = False
            transport.resumeProducing()
        if self.secure or not hasattr(transport, "loseWriteConnection"):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def _abort(self) -> None:
        transport: Any = self.transport
        if hasattr(transport, "abortConnection"):
            transport.abortConnection()
        else:
            transport.loseConnection()

    abort = _abort


_SINGLE = frozenset(
    (
        b"host",
        b"authorization",
        b"content-length",
        b"content-md5",
        b"content-type",
        b"range",
        b"x-amz-content-sha256",
        b"x-amz-date",
        b"x-amz-decoded-content-length",
        b"x-amz-copy-source",
    )
)
"""Headers whose repetition would leave open which one is meant."""


def _malformed(error: HttpParserError) -> CallerError:
    text = str(error.args[0]) if error.args else ""
    if "URL" in text or "url" in text:
        return InvalidURI()
    return InvalidRequest("The request is not well-formed HTTP/1.1.")
