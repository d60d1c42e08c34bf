"""
Bodies: bytes on their way, pulled by whoever can take them.

Backpressure is the shape of the thing: nobody is sent a piece that was not
asked for, so a slow client slows the read of the storage, and a slow storage
slows the upload.  Not chosen: push producers all the way.  They need a pause
and a resume at every joint, and every joint can get them wrong; the two ends
that must push, a socket and an outgoing HTTP response, are turned into pulls
where they enter, in L{alluxio_tw.flow} and in the web room.
"""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


@attrs.frozen
class FileSpan:
    """
    Bytes that lie in an open file, to leave by C{sendfile} where that can be.

    :ivar fd: the descriptor; it stays open until the piece after the next is
        asked for, or the body that gave this one is closed.  Its file offset is
        nobody's: read with C{pread}.
    :ivar offset: where the bytes begin in the file.
    :ivar length: how many there are, more than nought.
    """

    fd: int
    offset: int
    length: int


Piece = bytes | memoryview | FileSpan
"""What a body is made of.  A memoryview is read-only and never changes."""


class IBody(Interface):
    """
    A run of bytes being handed over, and the lease on what it is read from.
    """

    length: int | None = Attribute(
        """How many bytes in all, or L{None} if only its end will tell."""
    )

    def read() -> Deferred[Piece | None]:
        """
        The next piece, never empty; L{None} at the end.

        One read at a time.  Cancelling it, or L{close}, abandons the work
        behind it unless others wait for the same.

        :raises GatewayError: the rest cannot be had; the body is of no further
            use but must still be closed.
        """

    def close() -> None:
        """
        Return what is held: exactly one call counts, more do no harm.

        Also called before the end, by whoever lost interest.
        """
