"""
Lists that clients send: objects to delete, parts to join.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from alluxio_tw.errors import InvalidArgument, MalformedXML
from alluxio_tw.s3.checksums import ALGORITHMS, valid_checksum
from alluxio_tw.s3.xml import Element, boolean, integer, parse, unquote

MAX_KEYS_TO_DELETE = 1000
MAX_PARTS = 10_000

# What a part may say its checksum is, and how we call it.
CHECKSUM_ELEMENTS = {f"Checksum{name.upper()}": name for name in ALGORITHMS}


@attrs.frozen
class Deletion:
    """
    One of the objects to delete.

    :ivar etag: only if it is this one; without quotes.
    :ivar size: only if it has so many bytes.
    :ivar modified: only if it was modified then, as it was written.
    """

    key: str
    version: str | None = None
    etag: str | None = None
    size: int | None = None
    modified: str | None = None


@attrs.frozen
class DeleteRequest:
    """
    The objects to delete.

    :ivar quiet: answer with failures only.
    """

    objects: tuple[Deletion, ...]
    quiet: bool = False


@attrs.frozen
class CompletedPart:
    """
    A part that an upload is to be completed with.

    :ivar number: 1 to 10,000.
    :ivar etag: without quotes.
    :ivar checksums: algorithm to base64, as in C{iobjects.PartStatus}.
    """

    number: int
    etag: str
    checksums: Mapping[str, str]


def parse_delete(data: bytes) -> DeleteRequest:
    """
    Read a Delete.

    :raises MalformedXML: also for none or more than 1,000 objects.
    """
    root = parse(data, "Delete", 10 * MAX_KEYS_TO_DELETE)
    objects = root.all("Object")
    if not 1 <= len(objects) <= MAX_KEYS_TO_DELETE:
        raise MalformedXML
    return DeleteRequest(
        tuple(map(_deletion, objects)), boolean(root.word("Quiet") or "false")
    )


def _deletion(element: Element) -> Deletion:
    key = element.value("Key")
    if not key:
        raise MalformedXML
    etag = element.word("ETag")
    size = element.word("Size")
    return Deletion(
        key,
        element.word("VersionId") or None,
        None if etag is None else unquote(etag),
        None if size is None else integer(size),
        element.word("LastModifiedTime") or None,
    )


def parse_complete(data: bytes) -> tuple[CompletedPart, ...]:
    """
    Read a CompleteMultipartUpload.  That the parts ascend is for whoever knows
    the upload to say: C{NoSuchUpload} comes first.

    :raises MalformedXML: also for an empty body, and for none or more than
        10,000 parts.
    :raises InvalidArgument: a part number out of range, a checksum that is none, or
        two of one part.
    """
    if not data.strip():
        raise MalformedXML
    root = parse(data, "CompleteMultipartUpload", 8 * MAX_PARTS)
    parts = root.all("Part")
    if not 1 <= len(parts) <= MAX_PARTS:
        raise MalformedXML
    return tuple(map(_completed_part, parts))


def _completed_part(element: Element) -> CompletedPart:
    number, etag = element.word("PartNumber"), element.word("ETag")
    if number is None or etag is None:
        raise MalformedXML
    # Only the sign of a number can make it out of range and still a number.
    if number[:1] == "-" and number[1:].isdecimal():
        part = 0
    else:
        part = integer(number)
    if part < 1:
        raise InvalidArgument(
            "PartNumber must be >= 1", ArgumentName="PartNumber", ArgumentValue=number
        )
    if part > MAX_PARTS:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive",
            ArgumentName="PartNumber",
            ArgumentValue=number,
        )
    checksums = {}
    for child in element.children:
        algorithm = CHECKSUM_ELEMENTS.get(child.name)
        if algorithm is not None:
            checksums[algorithm] = child.text.strip()
    if len(checksums) > 1 or not all(
        valid_checksum(name, value) for name, value in checksums.items()
    ):
        raise InvalidArgument(
            "Invalid Base64 or multiple checksums present in request",
            ArgumentName="Checksum",
            ArgumentValue="".join(
                f"{name.upper()}:{value};" for name, value in checksums.items()
            ),
        )
    return CompletedPart(part, unquote(etag), checksums)
