"""
Bytes of a version of a file for who keeps them: looked at once more after they were
read.

A body that leaves by C{sendfile} can look whether its file was written in place only
before it hands out a piece.  What is kept under the name of a version would then be
wrong for as long as it is kept.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.spans import Span
from alluxio_tw.threads import IThreads
from alluxio_tw.ufs.filespans import read_span
from alluxio_tw.ufs.local_faults import translated
from alluxio_tw.ufs.local_handles import OpenFile

SLICE = 64 << 10
"""Bytes at a time: each of hundreds of loads holds one of these."""


@implementer(IBody)
class CheckedBody:
    """
    A span of an open file.

    The kernel changes a file's times before its bytes, so bytes after which the
    times are still the same are of that version.
    """

    __slots__ = ("_end", "_file", "_offset", "_threads", "length")
    length: int | None

    def __init__(self, file: OpenFile, span: Span, threads: IThreads) -> None:
        self._file: OpenFile | None = file
        self._offset = span.offset
        self._end = span.end
        self._threads = threads
        self.length = span.length

    def read(self) -> Deferred[Piece | None]:
        file, length = self._file, min(self._end - self._offset, SLICE)
        if file is None or not length:
            return succeed(None)
        offset = self._offset
        self._offset += length
        # The thread's reference keeps the file open, should we be closed meanwhile.
        return self._threads.run(translated(_take), file, offset, length)

    def close(self) -> None:
        self._file = None


def _take(file: OpenFile, offset: int, length: int) -> Piece | None:
    data = read_span(FileSpan(file.descriptor, offset, length))
    if not file.is_untouched():
        raise ObjectChanged()
    return data
