"""
The parts of objects that came in parts, where the storage alone knows of them.

A driver that can be asked provides L{IParts} beside
L{IUnderFileSystem<alluxio_tw.iufs.IUnderFileSystem>} (C{__conform__}); others keep
C{part_sizes} with the object.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from twisted.internet.defer import Deferred
from zope.interface import Interface

from alluxio_tw.iobjects import Status
from alluxio_tw.spans import Span


@attrs.frozen
class Part:
    """
    One part.

    :ivar span: its bytes, in the object.
    :ivar count: how many parts the object has.
    :ivar checksums: its own, by algorithm, in base64.
    :ivar checksum_type: of the object's checksum.
    """

    span: Span
    count: int
    checksums: Mapping[str, str]
    checksum_type: str = ""


class IParts(Interface):
    """
    Tells of the parts of one storage's objects.
    """

    def part(path: str, status: Status, number: int) -> Deferred[Part | None]:
        """
        A part of a version.

        :param number: 1 and up.
        :return: L{None} if this version is not known to have parts.
        :raises InvalidPartNumber: there is no such part.
        """
