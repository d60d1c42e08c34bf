"""
Ranges of files, copied by the kernel where it can.
"""

from __future__ import annotations

import errno
import os

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ufs.local_scratch import Temporary


class Held:
    """
    A descriptor that stays good while a thread works on it, even if who gave it
    cancelled the work and closed his own.
    """

    def __init__(self, fd: int) -> None:
        self.fd = os.dup(fd)

    def __del__(self) -> None:
        os.close(self.fd)


def append_range(file: Temporary, source: int, offset: int, length: int) -> None:
    """
    Append bytes of another open file, without copying through us where the
    kernel can; blocks.

    :raises ObjectChanged: the other file has become shorter.
    """
    by_kernel = True
    while length:
        if by_kernel:
            try:
                done = os.copy_file_range(
                    source, file.fd, min(length, 1 << 30), offset_src=offset
                )
            except OSError as error:
                if error.errno not in (
                    errno.EXDEV,
                    errno.EINVAL,
                    errno.ENOSYS,
                    errno.EOPNOTSUPP,
                    errno.EBADF,
                    errno.EPERM,
                ):
                    raise
                by_kernel = False
                continue
        else:
            data = os.pread(source, min(length, 1 << 20), offset)
            file.write(data)
            done = len(data)
        if not done:
            raise ObjectChanged()
        offset += done
        length -= done
