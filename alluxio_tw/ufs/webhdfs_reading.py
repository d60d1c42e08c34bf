"""
Reading a version of a file, and no other.

The file is opened, and then it is asked which version it is: a number is never given
to another file, so it was that one when it was opened, too.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import implementer

from alluxio_tw.errors import NoSuchPath, ObjectChanged, StorageUnavailable
from alluxio_tw.ibody import IBody
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.spans import Span
from alluxio_tw.ufs.bytesbody import BytesBody
from alluxio_tw.ufs.webhdfs_bodies import Arrival, SpanBody
from alluxio_tw.ufs.webhdfs_faults import Complaint
from alluxio_tw.ufs.webhdfs_files import HdfsFiles
from alluxio_tw.ufs.webhdfs_wire import Asking


@attrs.frozen
class Versions:
    """
    Versions of the files of a mount; paths are relative to its root.

    :ivar retries: how often in a row a body may break off without a byte gained.
    """

    _files: HdfsFiles
    _retries: int

    def body(self, path: str, status: Status, span: Span) -> IBody:
        """A body whose request waits for the first read."""
        if not span.length:
            return BytesBody(memoryview(b""))
        return self._body(path, status, span)

    async def begun(self, path: str, status: Status, span: Span) -> IBody:
        """
        A body whose request was answered.

        :raises ObjectChanged: the path holds another version.
        :raises NoSuchPath: it holds none.
        """
        if not span.length:
            return BytesBody(memoryview(b""))
        arrival = await self._arrival(path, status, span, 0)
        return self._body(path, status, span, arrival)

    def _body(
        self, path: str, status: Status, span: Span, arrival: Arrival | None = None
    ) -> IBody:
        def start(offset: int) -> Deferred[Arrival]:
            return Deferred.fromCoroutine(self._arrival(path, status, span, offset))

        pause = self._files.wire.pause
        return SpanBody(span.length, start, pause, self._retries, arrival)

    async def _arrival(
        self, path: str, status: Status, span: Span, offset: int
    ) -> Arrival:
        """Bytes of the version, from an offset into the span on."""
        length = span.length - offset
        asking = Asking(
            b"GET",
            "OPEN",
            self._files.absolute(path),
            (("offset", str(span.offset + offset)), ("length", str(length))),
        )
        try:
            arrival = await self._files.wire.opened(asking)
        except Complaint as error:
            if error.no_directory:
                raise NoSuchPath() from error
            noun = error.noun()
            if isinstance(noun, StorageUnavailable):
                # To begin behind the end of what is there now is an error, too.
                await self._same(path, status)
            raise noun from error
        try:
            await self._same(path, status)
            if arrival.length not in (None, length):
                raise ObjectChanged()
        except BaseException:
            arrival.close()
            raise
        return arrival

    async def _same(self, path: str, status: Status) -> None:
        if (await self._files.file(path)).version != status.version:
            raise ObjectChanged()


@implementer(IReading)
@attrs.frozen(eq=False)
class HdfsReading:
    """
    A version that was found; it holds nothing.
    """

    _versions: Versions
    _path: str
    status: Status
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        return None

    def body(self, span: Span) -> IBody:
        return self._versions.body(self._path, self.status, span)

    def close(self) -> None:
        pass
