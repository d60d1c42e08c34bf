"""
Page files that are open, so that a hit need not open them again.
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict

import attrs
from zope.interface import implementer

from alluxio_tw.ibody import FileSpan, Piece
from alluxio_tw.ipages import IPage, PageKey
from alluxio_tw.spans import Span

# For how many seconds a file that was found in memory is taken to be there
# still: a probe costs as much as a small read.
_WARM_FOR = 1.0
_NOWAIT: int = getattr(os, "RWF_NOWAIT", 0)


@attrs.define(eq=False)
class OpenFile:
    """
    An open page file.

    :ivar length: bytes of the page, without the footer.
    :ivar leases: how many use the descriptor now.
    :ivar unwanted: to be closed when the last of them has gone.
    :ivar warm_until: until when its bytes are taken to be in memory.
    """

    key: PageKey
    fd: int
    length: int
    leases: int = 0
    unwanted: bool = False
    warm_until: float = 0.0


@implementer(IPage)
class FilePage:
    """
    A lease on an open page file.

    Written out by hand: one is made for each page that is a hit.
    """

    __slots__ = ("_file", "_released", "_table", "length")

    def __init__(self, table: OpenFiles, file: OpenFile) -> None:
        self.length = file.length
        self._file = file
        self._table = table
        self._released = False
        if not file.leases:
            table.idle.pop(file.key, None)
        file.leases += 1

    def piece(self, span: Span) -> Piece:
        return FileSpan(self._file.fd, span.offset, span.length)

    def release(self) -> None:
        if not self._released:
            self._released = True
            file = self._file
            file.leases -= 1
            if not file.leases:
                self._table.unused(file)


@attrs.define(eq=False)
class OpenFiles:
    """
    The open files of one store.  Those in use stay open; of the others, the
    most recently used C{most} do.

    :param most: how many may stay open unused.
    """

    _most: int
    idle: OrderedDict[PageKey, OpenFile] = attrs.field(factory=OrderedDict, init=False)
    _files: dict[PageKey, OpenFile] = attrs.field(factory=dict, init=False)
    _can_probe: bool = attrs.field(default=bool(_NOWAIT), init=False)

    def __len__(self) -> int:
        return len(self._files)

    def find(self, key: PageKey) -> OpenFile | None:
        """The open file of a page."""
        return self._files.get(key)

    def in_use(self, key: PageKey) -> bool:
        """Whether anyone holds the page."""
        file = self._files.get(key)
        return file is not None and file.leases > 0

    def add(self, key: PageKey, fd: int, length: int, now: float) -> OpenFile:
        """Take over a descriptor that was just opened and read, or written."""
        file = self._files[key] = OpenFile(key, fd, length, warm_until=now + _WARM_FOR)
        self.unused(file)
        return file

    def lease(self, file: OpenFile) -> FilePage:
        """Hold a file open."""
        return FilePage(self, file)

    def refresh(self, file: OpenFile) -> None:
        """A file was read from without a lease."""
        if not file.leases:
            self.idle.move_to_end(file.key)

    def unused(self, file: OpenFile) -> None:
        """The last lease came back."""
        if file.unwanted:
            os.close(file.fd)
            return
        self.idle[file.key] = file
        while len(self.idle) > self._most:
            _, oldest = self.idle.popitem(last=False)
            del self._files[oldest.key]
            os.close(oldest.fd)

    def drop(self, key: PageKey) -> None:
        """Close a file, now or when the last lease comes back."""
        file = self._files.pop(key, None)
        if file is None:
            return
        if file.leases:
            file.unwanted = True
        else:
            del self.idle[key]
            os.close(file.fd)

    def is_warm(self, file: OpenFile, now: float) -> bool:
        """
        Whether reading a file will, most likely, not wait for the disk.

        C{sendfile} on bytes that are not in memory would hold up the reactor.
        Three bytes are tried: the kernel evicts and reads in longer runs.
        """
        if now < file.warm_until or not self._can_probe:
            return True
        byte = bytearray(1)
        try:
            for offset in (0, file.length // 2, file.length - 1):
                os.preadv(file.fd, [byte], offset, _NOWAIT)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                return False
            # tmpfs cannot be asked, and need not be.
            self._can_probe = False
        file.warm_until = now + _WARM_FOR
        return True

    def close(self) -> None:
        """Close all that is not in use; the rest as it comes back."""
        for key in list(self._files):
            self.drop(key)
