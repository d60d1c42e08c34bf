"""
Replies: the only place where an answer is written, an error among them.
"""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TYPE_CHECKING

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from alluxio_tw.errors import ObjectChanged, OurError
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import IReading
from alluxio_tw.spans import Span
from alluxio_tw.web.buffered import StreamFlow
from alluxio_tw.web.sending import STRETCH, DirectFlow, send_at_once

if TYPE_CHECKING:
    from alluxio_tw.web.connection import HTTPConnection
    from alluxio_tw.web.request import Request

SMALL = 128 << 10
"""A reply in memory up to this size is given to the socket in one call."""

Headers = list[tuple[bytes, bytes]]


@attrs.define
class Reply:
    """
    An answer as a value.

    :ivar status: the HTTP status.
    :ivar headers: beyond those that every answer has (date, server, request
        ids, connection) and its length.
    :ivar body: in memory, or to be pulled; closed by whoever sends it.
    """

    status: int = 200
    headers: Headers = attrs.field(factory=list)
    body: bytes | IBody = b""


def reason(status: int) -> bytes:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase.encode()
    except ValueError:
        return b"Unknown"


def block(headers: Headers) -> bytes:
    """
    Render header lines.

    What could end a line is removed: a value never begins another header.
    """
    return b"".join(
        b"%b: %b\r\n" % (name, value.translate(None, b"\r\n\0"))
        for name, value in headers
    )


def write(request: Request, reply: Reply) -> None:
    """Send an answer made of values."""
    body = reply.body
    headers = block(reply.headers)
    if isinstance(body, bytes):
        if reply.status not in (204, 304) and not (
            request.method == b"HEAD" and not body
        ):
            headers += b"Content-Length: %d\r\n" % len(body)
        send(request, reply.status, headers, b"" if request.method == b"HEAD" else body)
        return
    if request.method == b"HEAD":
        body.close()
        send(request, reply.status, headers, b"")
        return
    stream(request, reply.status, headers, body)


def send(request: Request, status: int, headers: bytes, data: bytes) -> None:
    """
    Send an answer that lies in memory.

    :param headers: rendered header lines, C{Content-Length} among them where
        there is one.
    """
    connection = request.connection
    request.status = status
    if connection.lost:
        _finished(request, 0, None)
        return
    head = _head(request, status, headers, True)
    size = len(data)
    request.bytes_out = size
    socket = connection.socket
    if socket is None:
        connection.transport.write(head + data)  # type: ignore[union-attr]
        _finished(request, size, None)
        return
    total = len(head) + size
    try:
        if size < 16384:
            whole = head + data
            sent = socket.send(whole)
            if sent == total:
                _finished(request, size, None)
                return
            left = memoryview(whole)[sent:]
        else:
            sent = socket.sendmsg((head, data))
            if sent == total:
                _finished(request, size, None)
                return
            if sent < len(head):
                left = memoryview(head[sent:] + data)
            else:
                left = memoryview(data)[sent - len(head) :]
    except (BlockingIOError, InterruptedError):
        left = memoryview(head + data)
    except OSError:
        _finished(request, 0, Failure())
        return
    _flow(request, left, None, size)


def interim(connection: HTTPConnection, data: bytes) -> None:
    """
    Send an interim answer, ahead of whatever the request is answered with.

    Not through the transport's buffer, which what follows would overtake.
    """
    if connection.lost:
        return
    if connection.socket is None:
        connection.transport.write(data)  # type: ignore[union-attr]
        return
    try:
        sent = connection.socket.send(data)
    except (BlockingIOError, InterruptedError):
        # The client does not even read; it may go on without (RFC 9110, 10.1.1).
        return
    except OSError:
        # The transport would not notice if it only waited to write.
        connection.abort()
        return
    if sent != len(data):
        connection.abort()


def stream(request: Request, status: int, headers: bytes, body: IBody) -> None:
    """
    Send an answer whose body is pulled.

    :param headers: as in L{send}; without a C{Content-Length} the body is
        what comes until the connection closes.
    """
    connection = request.connection
    request.status = status
    if connection.lost:
        body.close()
        _finished(request, 0, None)
        return
    length = body.length
    head = _head(request, status, headers, length is not None)
    request.bytes_out = length or 0
    socket = connection.socket
    if socket is None:
        _flow(request, head, body, length)
        return
    reading = body.read()
    file = reading.result if reading.called and not reading.paused else None
    if not isinstance(file, FileSpan) or file.length != length or length > STRETCH:
        _flow(request, head, body, length, reading)
        return
    try:
        sent = send_at_once(socket, head, file.fd, file.offset, length)
    except OSError:
        body.close()
        _finished(request, 0, Failure())
        return
    if sent == len(head) + length:
        body.close()
        _finished(request, length, None)
        return
    _flow(request, head, body, length, file=file, sent=sent)


def send_file(
    request: Request,
    status: int,
    headers: bytes,
    descriptor: int,
    reading: IReading,
    span: Span,
) -> None:
    """
    Send an answer whose bytes lie in a file, which was found to be the right one
    just now: at once, if the socket takes it all; else as L{stream} does.

    :param headers: as in L{send}.
    :param span: not empty.
    """
    connection = request.connection
    socket = connection.socket
    length = span.length
    if socket is None or connection.lost or length > STRETCH:
        stream(request, status, headers, reading.body(span))
        return
    request.status = status
    request.bytes_out = length
    head = _head(request, status, headers, True)
    try:
        sent = send_at_once(socket, head, descriptor, span.offset, length)
    except OSError:
        _finished(request, 0, Failure())
        return
    if sent == len(head) + length:
        _finished(request, length, None)
        return
    body = reading.body(span)
    first = body.read()
    file = first.result if first.called and not first.paused else None
    if isinstance(file, FileSpan) and file.length == length:
        _flow(request, head, body, length, file=file, sent=sent)
    elif not sent:
        _flow(request, head, body, length, first)
    else:
        # It is another version now, of which the rest must not be sent.
        first.addErrback(lambda _: None)
        body.close()
        _finished(request, max(0, sent - len(head)), Failure(ObjectChanged()))


def _head(request: Request, status: int, headers: bytes, measured: bool) -> bytes:
    """
    A reply's head.

    :param measured: its length is known; otherwise it ends with the connection.
    """
    connection = request.connection
    if request.extra:
        headers += request.extra
    keep = measured and connection.will_keep(request)
    if not keep:
        request.keep_alive = False
    return b"%b%08X\r\n%b%b\r\n" % (
        connection.site.preamble(status),
        request.number & 0xFFFFFFFF,
        headers,
        b"Connection: close\r\n"
        if not keep
        else b"Connection: keep-alive\r\n"
        if request.http_1_0
        else b"",
    )


def _flow(
    request: Request,
    first: bytes | memoryview,
    body: IBody | None,
    length: int | None,
    reading: Deferred[Piece | None] | None = None,
    file: FileSpan | None = None,
    sent: int = 0,
) -> None:
    """
    Send the rest as the client takes it.

    :param reading: of the body's first piece, on plain TCP.
    :param file: or that piece, of which some may have left.
    :param sent: bytes that left, of C{first} and that piece.
    """
    connection = request.connection
    request.sending = True
    begun = len(first)

    def done(sent: int, failure: Failure | None) -> None:
        request.sending = False
        if failure is None and body is not None and length is not None:
            if sent - begun != length:
                # It would look whole, with what follows it on the connection.
                failure = Failure(EOFError(f"{sent - begun} of {length} bytes came."))
        if (
            failure is not None
            and sent == 0
            and body is not None
            and not connection.lost
            and not failure.check(OSError)
        ):
            # Nothing has left yet, and it was not the socket that failed: the
            # error can still be told.
            request.on_lost = None
            fault(request, failure)
            return
        _finished(
            request, max(0, sent - begun) if body is not None else length or 0, failure
        )

    threads = connection.site.threads
    # A transport that goes tells its producer; before the first piece there
    # is none, so the request tells.
    if connection.socket is None:
        buffered = StreamFlow(connection, threads, first, body, done)
        request.on_lost = buffered.finish
        buffered.start()
        return
    direct = DirectFlow(connection, threads, first, body, done)
    request.on_lost = direct.finish
    if file is not None:
        direct.start_within(file, sent)
    else:
        direct.start(reading)


def fault(request: Request, failure: Failure) -> None:
    """
    Answer with an error, as the site words it; once the reply has begun, the
    connection is aborted instead, for a short body must not look whole.
    """
    site = request.connection.site
    if request.sending or request.answered:
        site.log_failure(failure.value)
        request.connection.abort()
        return
    site.answer_error(request, failure)


def _finished(request: Request, sent: int, failure: Failure | None) -> None:
    connection = request.connection
    site = connection.site
    request.on_lost = None
    if request.admitted is not None or request.body is not None:
        request.over()
    if failure is not None or connection.lost:
        request.bytes_out = sent
        if failure is not None and not connection.lost:
            if not failure.check(OSError):
                site.log_failure(failure.value)
            connection.abort()
        request.error = request.error or "ConnectionAborted"
        request.answered = True
        site.account(request)
        return
    site.account(request)
    connection.answered(request)


def token(size: int) -> str:
    """Random hexadecimal text, upper case."""
    return os.urandom(size).hex().upper()


class Unanswered(OurError):
    """We encountered an internal error. Please try again."""
