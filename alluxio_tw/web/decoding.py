"""
Request bodies without the framing that S3 clients put around them.
"""

from __future__ import annotations

from typing import Any

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import MissingContentLength
from alluxio_tw.ibody import IBody, Piece
from alluxio_tw.s3.chunked import ChunkedDecoder, decoded_length, form_of
from alluxio_tw.s3.sigv4 import ChunkSigner
from alluxio_tw.threads import IThreads
from alluxio_tw.web.request import Request, RequestBody

THREADED = 32 << 10
"""A piece this large is hashed in a thread."""


@implementer(IBody)
@attrs.define
class DecodedBody:
    """
    What an aws-chunked body carries.

    :ivar length: of the content, as C{x-amz-decoded-content-length} promises.
    """

    length: int | None
    _body: RequestBody
    _decoder: ChunkedDecoder
    # Where large pieces are fed, if they are hashed.
    _threads: IThreads | None = None
    _over: bool = False

    @property
    def trailers(self) -> dict[bytes, bytes]:
        """What followed the content; known at its end."""
        return dict(self._decoder.trailers)

    @deferred
    async def read(self) -> Piece | None:
        while not self._over:
            piece: Any = await self._body.read()
            if piece is None:
                self._over = True
                self._decoder.finish()
                return None
            if self._threads is None or len(piece) < THREADED:
                pieces = self._decoder.feed(piece)
            else:
                pieces = await self._threads.run(self._decoder.feed, piece)
            if len(pieces) == 1:
                return pieces[0]
            if pieces:
                return b"".join(pieces)
        return None

    def close(self) -> None:
        self._body.close()


@implementer(IBody)
@attrs.define
class NoBody:
    """
    The body of a request that has none.
    """

    length: int | None = 0

    @deferred
    async def read(self) -> Piece | None:
        return None

    def close(self) -> None:
        """Nothing is held."""


def decode(request: Request, signer: ChunkSigner | None = None) -> IBody | None:
    """
    The content of a request's body; L{None} if there is no body.

    :param signer: checks the signatures of chunks; L{None} lets them pass.
    :raises MissingContentLength: it must say how much there is, and does not.
    """
    headers = request.headers
    form = form_of(headers)
    if form is None:
        return request.body
    length = decoded_length(headers)
    if request.body is None:
        raise MissingContentLength()
    decoder = ChunkedDecoder(form, length, signer)
    threads = None if signer is None else request.connection.site.threads
    return DecodedBody(length, request.body, decoder, threads)
