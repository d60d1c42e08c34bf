"""
Bytes that a body left in a file, read where they must be held after all.
"""

from __future__ import annotations

import os

from alluxio_tw.errors import ObjectChanged
from alluxio_tw.ibody import FileSpan


def read_span(piece: FileSpan) -> bytes:
    """
    Read all of it; blocks.

    :raises ObjectChanged: the file has become shorter.
    :raises OSError: it cannot be read.
    """
    data = os.pread(piece.fd, piece.length, piece.offset)
    if len(data) == piece.length:
        return data
    parts = [data]
    missing = piece.length - len(data)
    while missing:
        data = os.pread(piece.fd, missing, piece.offset + piece.length - missing)
        if not data:
            raise ObjectChanged()
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)
