"""
What GetObjectAttributes was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from alluxio_tw.errors import InvalidArgument, InvalidRequest
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

    :raises InvalidRequest: none was named.
    :raises InvalidArgument: there is no such attribute; a number is none.
    """
    said = headers.get(b"x-amz-object-attributes", b"").decode("latin-1").strip()
    if not said:
        raise InvalidRequest(
            "The x-amz-object-attributes header specifying the attributes to be"
            " retrieved is either missing or empty"
        )
    wanted = frozenset(name.strip() for name in said.split(","))
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
