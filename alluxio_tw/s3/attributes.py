"""
What GetObjectAttributes was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from alluxio_tw.errors import InvalidArgument
from alluxio_tw.s3.listing import PartsRequest, parse_list_parts

ATTRIBUTES = frozenset(
    ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")
)


def parse_object_attributes(
    headers: Mapping[bytes, bytes],
) -> tuple[frozenset[str], PartsRequest]:
    """
    Read C{x-amz-object-attributes}, C{x-amz-max-parts} and
    C{x-amz-part-number-marker}.

    :raises InvalidArgument: there is no such attribute, or none was named; a
        number is none.
    """
    names = headers.get(b"x-amz-object-attributes", b"").decode("latin-1").split(",")
    wanted = frozenset(name.strip() for name in names)
    if not wanted <= ATTRIBUTES:
        raise InvalidArgument(
            "Invalid attribute name specified.",
            ArgumentName="x-amz-object-attributes",
            ArgumentValue=sorted(wanted - ATTRIBUTES)[0],
        )
    return wanted, parse_list_parts(
        {
            name: headers[b"x-amz-" + name.encode("ascii")].decode("latin-1")
            for name in ("max-parts", "part-number-marker")
            if b"x-amz-" + name.encode("ascii") in headers
        }
    )
