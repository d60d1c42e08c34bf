"""
Open files, so that hot ones are opened once; and the bodies read from them.

A version of a file is an open descriptor and what C{fstat} said when it was
opened.  It is still current if one C{stat} of the path tells of the same device,
inode, size and times: the change time also moves when only attributes do.

The lease is the reference: an L{OpenFile} closes its descriptor when nobody
refers to it any more, neither the table nor a reading nor a body.  So a reading
can be shared between all who ask, with nothing to make per request, and closing
it, once or twice or never, does no harm; a body drops its reference when it is
closed.  Not chosen: counting leases.  With a shared reading one close too many
would close a descriptor that others read from, and its number would soon be
another file's.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import FileSpan, IBody, Piece
from alluxio_tw.iobjects import IReading, Status
from alluxio_tw.spans import Span

FEW = 16 << 10
"""
L{IReading.at_once} gives no more bytes than this: to copy more of a file costs
more than C{sendfile}.
"""

_PIECE = 8 << 20
_WARM = 10.0
_RWF_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)
_preadv = os.preadv
_pread = os.pread
_stat = os.stat

# All readings share it: bytes pass through it on the reactor's thread only.
_passage = memoryview(bytearray(FEW))


@implementer(IReading)
class OpenFile:
    """
    A version of a file, open.

    :ivar descriptor: it, open; for who sends from it before anything else happens.
    :ivar place: its absolute path.
    :ivar used: when it was last asked for, in seconds of the reactor's clock.
    :ivar hot: it was asked for since the table's clock hand came by.
    :ivar in_memory: it lies on a file system that never waits for a disk.
    """

    __slots__ = (
        "_ctime",
        "_dev",
        "_few",
        "_ino",
        "_mtime",
        "_size",
        "cache",
        "descriptor",
        "hot",
        "in_memory",
        "place",
        "status",
        "used",
    )
    status: Status
    cache: str

    def __init__(
        self,
        fd: int,
        st: os.stat_result,
        place: bytes,
        status: Status,
        in_memory: bool,
    ) -> None:
        self.descriptor = fd
        self._few = FEW
        self._dev = st.st_dev
        self._ino = st.st_ino
        self._size = st.st_size
        self._mtime = st.st_mtime_ns
        self._ctime = st.st_ctime_ns
        self.place = place
        self.status = status
        self.cache = "BYPASS"
        self.in_memory = in_memory
        self.used = 0.0
        self.hot = False

    def __del__(self, _close: Callable[[int], None] = os.close) -> None:
        _close(self.descriptor)

    def __repr__(self) -> str:
        return f"<OpenFile {self.descriptor} of {self.status.version}>"

    def is_current(self) -> bool:
        """Is this still what lies at the path?"""
        try:
            st = _stat(self.place)
        except OSError:
            return False
        return (
            st.st_ino == self._ino
            and st.st_mtime_ns == self._mtime
            and st.st_ctime_ns == self._ctime
            and st.st_size == self._size
            and st.st_dev == self._dev
        )

    def is_untouched(self) -> bool:
        """Are the bytes in the open file still those of this version?"""
        try:
            st = os.fstat(self.descriptor)
        except OSError:
            return False
        return st.st_mtime_ns == self._mtime and st.st_size == self._size

    def at_once(self, span: Span) -> bytes | None:
        length = span.length
        if length > self._few:
            return None
        try:
            if self.in_memory:
                data = _pread(self.descriptor, length, span.offset)
                return data if len(data) == length else None
            # One copy more than pread, but never a wait for a disk.
            into = _passage[:length]
            if _preadv(self.descriptor, [into], span.offset, _RWF_NOWAIT) == length:
                return bytes(into)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                self._few = -1  # this file system never will: do not ask again
        return None

    def body(self, span: Span) -> IBody:
        return FileBody(self, self.descriptor, span)

    def close(self) -> None:
        pass


@implementer(IBody)
class FileBody:
    """
    A span of an open file, to leave by C{sendfile}.

    Between pieces it looks whether the file was written in place: then the rest
    would be of another version.
    """

    __slots__ = ("_end", "_fd", "_file", "_offset", "length")
    length: int | None

    def __init__(self, file: OpenFile, fd: int, span: Span) -> None:
        self._file: OpenFile | None = file
        self._fd = fd
        self._offset = span.offset
        self._end = span.end
        self.length = span.length

    def read(self) -> Deferred[Piece | None]:
        file = self._file
        length = min(self._end - self._offset, _PIECE)
        if file is None or not length:
            return succeed(None)
        if not file.is_untouched():
            return fail(ObjectChanged())
        piece = FileSpan(self._fd, self._offset, length)
        self._offset += length
        return succeed(piece)

    def close(self) -> None:
        self._file = None


@implementer(IReading)
@attrs.frozen(eq=False)
class FolderReading:
    """
    A folder that was made as an object: no bytes.
    """

    status: Status
    cache: str = "BYPASS"

    def at_once(self, span: Span) -> bytes | None:
        return b""

    def body(self, span: Span) -> IBody:
        return NoBody()

    def close(self) -> None:
        pass


@implementer(IBody)
class NoBody:
    """
    No bytes at all.
    """

    length: int | None = 0

    def read(self) -> Deferred[Piece | None]:
        return succeed(None)

    def close(self) -> None:
        pass


@attrs.define(eq=False)
class OpenFiles:
    """
    The files that were asked for lately, by key; bounded.

    The clock hand passes over what was used since it came by last, so a scan
    does not push out what is hot.
    """

    _seconds: Callable[[], float]
    _most: int = 512
    _files: OrderedDict[str, OpenFile] = attrs.field(factory=OrderedDict, init=False)

    def __len__(self) -> int:
        return len(self._files)

    def glance(self, path: str) -> OpenFile | None:
        """
        The file, if it was used so lately that the kernel surely has its name at
        hand, and one look says that it is current.
        """
        file = self._files.get(path)
        if file is None:
            return None
        now = self._seconds()
        if now - file.used > _WARM or not file.is_current():
            return None
        file.used = now
        file.hot = True
        return file

    def get(self, path: str) -> OpenFile | None:
        """The file, current or not."""
        return self._files.get(path)

    def keep(self, path: str, file: OpenFile) -> None:
        """The file was opened now, or looked at and found current."""
        files = self._files
        file.used = self._seconds()
        file.hot = path in files
        files[path] = file
        while len(files) > self._most:
            name, other = files.popitem(last=False)
            if other.hot:
                other.hot = False
                files[name] = other

    def drop(self, path: str) -> None:
        """The file at this path is another now."""
        self._files.pop(path, None)

    def clear(self) -> None:
        """Let go of all."""
        self._files.clear()
