"""
Bytes at hand, as a body.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from alluxio_tw.ibody import IBody, Piece

_PIECE = 1 << 20


@implementer(IBody)
class BytesBody:
    """
    Hands on what it was given, in pieces of a modest size.
    """

    __slots__ = ("_rest", "length")
    length: int | None

    def __init__(self, data: memoryview) -> None:
        self.length = len(data)
        self._rest = data

    def read(self) -> Deferred[Piece | None]:
        piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
        return succeed(piece or None)

    def close(self) -> None:
        self._rest = memoryview(b"")
