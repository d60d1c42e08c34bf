"""
Presigned requests handed on to an S3 server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import MissingContentLength, StorageUnavailable
from alluxio_tw.ibody import IBody
from alluxio_tw.ipassage import IPassage, Passed
from alluxio_tw.ufs.s3_address import Target
from alluxio_tw.ufs.s3_connection import Response
from alluxio_tw.ufs.s3_head import plain_head
from alluxio_tw.ufs.s3_watch import Unreached, Watch
from alluxio_tw.ufs.s3_wire import Wire

_CONNECTION = frozenset(
    (
        b"connection",
        b"content-length",
        b"expect",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
_OURS = frozenset((b"authorization", b"cookie"))
_THEIRS = frozenset(
    (b"date", b"server", b"set-cookie", b"x-amz-request-id", b"x-amz-id-2")
)


@implementer(IPassage)
@attrs.frozen(eq=False)
class S3Passage:
    """
    To one bucket, or what lies beneath a prefix of it.

    :ivar whole: the whole key of a path.
    """

    _wire: Wire
    _whole: Callable[[str], str] = attrs.field(repr=False)

    @deferred
    async def forward(
        self,
        method: bytes,
        path: str,
        query: bytes,
        headers: Mapping[bytes, bytes],
        body: IBody | None,
    ) -> Passed:
        length = 0 if body is None else body.length
        if length is None:
            raise MissingContentLength()
        target = attrs.evolve(await self._wire.target(self._whole(path)), query=query)
        passing = {
            name: value
            for name, value in headers.items()
            if name not in _CONNECTION and name not in _OURS
        }
        head = plain_head(method, target, {**passing, b"host": target.host}, length)
        response = await self._ask(method, target, head, body if length else None)
        said = {
            name: value
            for name, value in response.headers.items()
            if name not in _CONNECTION and name not in _THEIRS
        }
        told = response.headers.get(b"content-length", b"")
        if method == b"HEAD" and told.isdigit():
            said[b"content-length"] = told
        return Passed(response.code, said, response.arrival)

    async def _ask(
        self, method: bytes, target: Target, head: bytes, body: IBody | None
    ) -> Response:
        wire = self._wire
        released = await wire.reading.enter()
        watch = Watch(wire.clock, wire.timeout)

        async def exchange() -> Response:
            # Nobody holds the body to send it again, so no connection that may be
            # dead by now.
            connection = await wire.pool.connection(target, True)
            return await connection.ask(
                method, head, body or (), watch.moved, wire.timeout
            )

        try:
            response = await watch.over(Deferred.fromCoroutine(exchange()))
        except BaseException as error:
            released()
            if isinstance(error, Unreached):
                raise StorageUnavailable(error.message) from error
            raise
        response.arrival.when_over(released)
        return response
