"""
Objects on their way in, as their headers describe them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from alluxio_tw.errors import MissingContentLength
from alluxio_tw.gateway.receiving import Incoming
from alluxio_tw.iobjects import Attributes
from alluxio_tw.s3 import checksums, metadata
from alluxio_tw.s3.checksums import Digests, Promises
from alluxio_tw.s3.unbuilt import refuse_unbuilt
from alluxio_tw.web.call import Call
from alluxio_tw.web.decoding import DecodedBody, NoBody, decode

DEFAULT_CHECKSUM = checksums.DEFAULT


def incoming(call: Call, attributes: Attributes, also: Iterable[str] = ()) -> Incoming:
    """
    The body of a request, to be stored.

    :param also: checksums to compute besides the promised one.
    :raises MissingContentLength: nothing says how long it is.
    """
    headers = call.headers
    promises = Promises.from_headers(headers)
    body = decode(call.request, call.signer)
    if body is None:
        if b"content-length" not in headers:
            raise MissingContentLength()
        body = NoBody()
    if not promises.algorithm and not also:
        also = (DEFAULT_CHECKSUM,)

    def trailers() -> Mapping[bytes, bytes]:
        return body.trailers if isinstance(body, DecodedBody) else {}

    return Incoming(
        body, body.length, Digests(promises, also=also), attributes, trailers
    )


def stored_attributes(call: Call) -> Attributes:
    """
    What the headers of an upload or copy say that is to be kept.

    :raises MetadataTooLarge: too much of it.
    :raises InvalidTag: of C{x-amz-tagging}.
    :raises NotImplementedYet: a header asks for what we cannot do.
    """
    refuse_unbuilt(call.headers)
    rules = call.gateway.rules
    return metadata.parse_attributes(
        call.headers, rules.metadata_limit, rules.tagging_restricted
    )
