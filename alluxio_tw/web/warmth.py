"""
Whether bytes of a file are in memory, so that nobody waits for a disk.
"""

from __future__ import annotations

import os

SLICE = 256 << 10
"""How much is read at a time to bring bytes in."""

_PROBES = [bytearray(1)]


def is_warm(fd: int, offset: int, count: int) -> bool:
    """
    Whether these bytes of a file can be read without waiting for a disk, as far
    as its first and last say: what is read ahead comes in runs.
    """
    return is_at_hand(fd, offset) and is_at_hand(fd, offset + count - 1)


def is_at_hand(fd: int, offset: int) -> bool:
    """Whether this one byte of a file can be read so."""
    try:
        return bool(os.preadv(fd, _PROBES, offset, os.RWF_NOWAIT))
    except BlockingIOError:
        return False
    except OSError:
        # A file system that cannot say: take it for warm rather than never
        # send anything.
        return True


def bring_in(fd: int, offset: int, count: int) -> None:
    """Read bytes of a file into the page cache; blocks."""
    os.posix_fadvise(fd, offset, count * 2, os.POSIX_FADV_WILLNEED)
    end = offset + count
    while offset < end:
        got = len(os.pread(fd, min(SLICE, end - offset), offset))
        if not got:
            return
        offset += got
