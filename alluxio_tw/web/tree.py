"""
Our requests, dressed as C{twisted.web} resources know them.

For resources of the ordinary kind (the admin port): the body is read first, as
far as it is small, and what is written is sent when it is finished.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import MaxMessageLengthExceeded
from alluxio_tw.ibody import FileSpan, IBody
from alluxio_tw.web import reply
from alluxio_tw.web.request import Request

MAX_BODY = 1 << 20
"""The largest body that such a resource is given."""


class TreeRequest:
    """
    As much of L{IRequest<twisted.web.iweb.IRequest>} as a resource needs.
    """

    def __init__(self, request: Request, content: bytes) -> None:
        self._request = request
        self.method = request.method
        self.uri = request.target
        self.path, _, query = request.target.partition(b"?")
        self.args = _arguments(query)
        self.prepath: list[bytes] = []
        self.postpath = [_unquote(each) for each in self.path.split(b"/")[1:]]
        self.content = BytesIO(content)
        self.requestHeaders = Headers({k: [v] for k, v in request.headers.items()})
        self.responseHeaders = Headers()
        self.code = 200
        self.site = request.connection.site
        self._written: list[bytes] = []
        self._notified: list[Deferred[None]] = []
        self._over = False
        request.on_lost = self._lost

    @classmethod
    def serve(
        cls,
        request: Request,
        root: IResource,
        find: Callable[[Any, Any], Any],
    ) -> None:
        """Find the resource and let it answer."""

        @deferred
        async def answer() -> None:
            content = b""
            if request.body is not None:
                content = await read_whole(request.body, MAX_BODY)
            dressed = cls(request, content)
            resource = find(root, dressed)
            try:
                result = resource.render(dressed)
            except UnsupportedMethod as error:
                dressed.setResponseCode(405)
                dressed.setHeader(b"Allow", b", ".join(sorted(error.allowedMethods)))
                result = b""
            if result is not NOT_DONE_YET:
                dressed.write(result)
                dressed.finish()

        answer().addErrback(lambda failure: reply.fault(request, failure))

    def getHeader(self, name: str) -> str | None:
        """A request header."""
        return self.requestHeaders.getRawHeaders(name, [None])[-1]

    def setHeader(self, name: bytes | str, value: bytes | str) -> None:
        """Set a reply header."""
        self.responseHeaders.setRawHeaders(name, [value])

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """Set the status."""
        self.code = code

    def write(self, data: bytes) -> None:
        """Add to the reply."""
        self._written.append(data)

    def finish(self) -> None:
        """Send it."""
        if self._over:
            return
        self._over = True
        headers = [
            (name, value)
            for name, values in self.responseHeaders.getAllRawHeaders()
            for value in values
            if name.lower() != b"content-length"
        ]
        reply.write(
            self._request, reply.Reply(self.code, headers, b"".join(self._written))
        )
        for each in self._notified:
            each.callback(None)
        self._notified.clear()

    def notifyFinish(self) -> Deferred[None]:
        """Told when it is sent, or fails when the client goes first."""
        told: Deferred[None] = Deferred()
        self._notified.append(told)
        return told

    def _lost(self, reason: Failure) -> None:
        self._over = True
        notified, self._notified = self._notified, []
        for each in notified:
            each.errback(reason)


async def read_whole(body: IBody, limit: int) -> bytes:
    """
    A small body as bytes.

    :raises MaxMessageLengthExceeded: it is larger than C{limit} bytes.
    """
    if body.length is not None and body.length > limit:
        raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(limit))
    pieces: list[bytes] = []
    size = 0
    while True:
        piece = await body.read()
        if piece is None:
            return b"".join(pieces)
        assert not isinstance(piece, FileSpan)
        size += len(piece)
        if size > limit:
            raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(limit))
        pieces.append(bytes(piece))


def _arguments(query: bytes) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = {}
    for pair in query.split(b"&")[:100] if query else ():
        name, _, value = pair.partition(b"=")
        found.setdefault(_unquote(name), []).append(_unquote(value.replace(b"+", b" ")))
    return found


def _unquote(text: bytes) -> bytes:
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text)
