"""
Later and later: the times of the versions that we write.

A version is known by size and time where there is nothing better, and a file that
is written again within the clock's step has the same of both.  So each version of
a key is given a later time than the one before it, where the file system lets us.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Any

import attrs

_REMEMBERED = 4096
_SECOND = 1_000_000_000
_STEPS = {"file": 1000, "local": 1000, "sftp": _SECOND, "ssh": _SECOND}
"""How finely times can be set, in nanoseconds; elsewhere they cannot."""


@attrs.define(eq=False)
class Times:
    """
    When the last versions were, of the keys that were written or deleted lately.

    :ivar step: of times in this file system, in nanoseconds; nought if they cannot
        be set.
    """

    step: int
    _times: OrderedDict[str, int] = attrs.field(
        factory=OrderedDict, init=False, repr=False
    )
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    @classmethod
    def of(cls, protocol: str) -> Times:
        """Those of a protocol of fsspec's."""
        return cls(_STEPS.get(protocol, 0))

    def least(self, key: str, there: int, own: int) -> int | None:
        """
        What time to give a new version, or L{None} to leave it.

        :param there: that of the version that is there, or nought.
        :param own: that of the new one.
        """
        if not self.step:
            return None
        before = max(there, self._times.get(key, 0)) // self.step
        return None if own // self.step > before else (before + 1) * self.step

    def remember(self, key: str, modified: int) -> None:
        """There is, or was, a version of this time."""
        if self.step:
            with self._lock:
                self._times[key] = max(modified, self._times.get(key, 0))
                self._times.move_to_end(key)
                if len(self._times) > _REMEMBERED:
                    self._times.popitem(last=False)


def set_time(fs: Any, path: str, when: int) -> None:
    """Give a file a time, in nanoseconds; blocks."""
    if hasattr(fs, "ftp"):
        seconds = when // _SECOND
        fs.ftp.utime(path, (seconds, seconds))
    else:
        os.utime(path, ns=(when, when))
