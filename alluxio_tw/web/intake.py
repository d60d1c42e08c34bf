"""
The memory that request bodies may take together, on their way into storage.

A body is read from its socket ahead of whoever stores it, so that neither waits
for the other; how far ahead is a matter of how many there are.  While memory is
plenty, each may run ahead by its own measure; once it is scarce, no socket is read
before whoever stores its bytes is done with the last, and what has come is handed on
in whatever size it came.  So many slow uploads cost nearly nothing, and many fast
ones into a slow storage no more than the bound.

It is scarce at half of the bound: the other half is for what one read of each socket
brings beyond it.

Not chosen: claiming C{Content-Length} beforehand.  It says what will come, not what
lies here at a time: a thousand slow uploads of a gigabyte each need no gigabyte.
"""

from __future__ import annotations

import attrs

STRIDE = 64 << 10
"""Bytes that are read from a socket at a time; what Twisted does by itself."""

LONG_STRIDE = 256 << 10
"""The same of a body, while there are few: fewer turns for the same bytes."""


@attrs.define(eq=False)
class Intake:
    """
    A bound over all bodies of a process.

    :ivar limit: in bytes.
    :ivar used: bytes received that nobody is done with.
    :ivar bodies: how many are arriving.
    """

    limit: int
    used: int = attrs.field(default=0, init=False)
    bodies: int = attrs.field(default=0, init=False)

    @property
    def scarce(self) -> bool:
        """Nobody should read ahead."""
        return 2 * self.used >= self.limit

    @property
    def stride(self) -> int:
        """How much of a body is read from its socket at a time."""
        return LONG_STRIDE if 4 * self.bodies * LONG_STRIDE <= self.limit else STRIDE
