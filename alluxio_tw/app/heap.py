"""
The heap of the C library: one for all threads, and what it keeps after it was freed
given back to the system.

glibc gives back the top of its heap and no more: an object of a few bytes above what a
burst of large uploads has freed holds all of that.  It is not lost, since the next burst
uses it again; but the process looks, and is charged, as if it were still at work.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import attrs

from alluxio_tw.deferreds import deferred
from alluxio_tw.threads import IThreads

M_ARENA_MAX = -8
"""Of malloc.h."""

SPARE = 64 << 20
"""Bytes that may lie about: what is at work frees and takes less than that."""

LOOK_SECONDS = 10.0
"""How often somebody should look."""

_NAMES = (
    "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
).split()


class _Told(ctypes.Structure):
    """C{struct mallinfo2} of malloc.h."""

    _fields_ = [(name, ctypes.c_size_t) for name in _NAMES]


@attrs.define(eq=False)
class Heap:
    """
    The heap of this process, where the C library is glibc 2.33 or later; elsewhere
    nothing is done.
    """

    _threads: IThreads
    _library: Any = attrs.field(factory=lambda: _library(), repr=False)
    _before: int = attrs.field(default=0, init=False)

    @property
    def spare(self) -> int:
        """Bytes that were freed and are kept, resident or not."""
        return 0 if self._library is None else int(self._library.mallinfo2().fordblks)

    @deferred
    async def look(self) -> None:
        """
        Give back what lies about, if it has since the last look as well.

        In a thread: it takes some milliseconds for each hundred megabytes.
        """
        before, self._before = self._before, self.spare
        if min(before, self._before) > SPARE:
            await self._threads.run(self._library.malloc_trim, 0)


def share_one_arena() -> None:
    """
    Let all threads allocate from one arena: glibc would give each its own, and
    what is freed in one is of no use to another.  Pieces of bodies are made in one
    thread and freed in another, so that doubles what is resident.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def _library() -> Any:
    try:
        library = ctypes.CDLL(None)
        library.mallinfo2.restype = _Told
        library.malloc_trim.argtypes = [ctypes.c_size_t]
    except (OSError, AttributeError):
        return None
    return library
