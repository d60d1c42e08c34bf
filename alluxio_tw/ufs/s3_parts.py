"""
Of what parts an object at an S3 storage was made: HeadObject with C{partNumber}, which
answers as a read of the part's bytes would be answered.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import attrs
from zope.interface import implementer

from alluxio_tw.deferreds import deferred
from alluxio_tw.errors import InvalidPartNumber
from alluxio_tw.iobjects import NO_PAIRS, Status
from alluxio_tw.iparts import IParts, Part
from alluxio_tw.spans import Span
from alluxio_tw.ufs.s3_attributes import etag_of, first, said
from alluxio_tw.ufs.s3_faults import Complaint
from alluxio_tw.ufs.s3_wire import Asking, Wire

_JOINED = re.compile(r"[0-9a-fA-F]{32}-([0-9]{1,5})").fullmatch
_RANGE = re.compile(rb"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})").fullmatch
_COUNT = re.compile(rb"[0-9]{1,5}").fullmatch


@implementer(IParts)
@attrs.frozen(eq=False)
class S3Parts:
    """
    Those of one mount.

    :ivar whole: the whole key of a path.
    """

    _wire: Wire
    _whole: Callable[[str], str] = attrs.field(repr=False)

    @deferred
    async def part(self, path: str, status: Status, number: int) -> Part | None:
        if not _JOINED(status.etag):
            return None
        asking = Asking(
            b"HEAD",
            self._whole(path),
            (("partNumber", str(number)),),
            {b"x-amz-checksum-mode": b"ENABLED"},
        )
        try:
            headers = (await self._wire.ask(asking)).headers
        except Complaint as error:
            if error.status == 416:
                raise InvalidPartNumber(PartNumberRequested=str(number)) from error
            # What else is wrong shows when its bytes are read.
            return None
        if etag_of(headers) != status.etag:
            # Another version, or that of the part: some servers tell it so.
            return None
        span = _span(first(headers, b"content-range"), status.size)
        count = first(headers, b"x-amz-mp-parts-count")
        if span is None or not _COUNT(count):
            # It knows of no parts, or does not say where this one is.
            return None
        attributes = said(headers, NO_PAIRS)
        return Part(span, int(count), attributes.checksums, attributes.checksum_type)


def _span(text: bytes, size: int) -> Span | None:
    found = _RANGE(text)
    if found is None:
        return None
    begin, last, whole = map(int, found.groups())
    if whole != size or not begin <= last < size:
        return None
    return Span(begin, last + 1 - begin)
