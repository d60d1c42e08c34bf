"""
Throws bytes at the aws-chunked decoder: C{python -m tests.fuzz.chunked}.

The first bytes choose the form, the length and where the body is cut; nothing
but an S3 error may come of it, no more data than was said, and the same however
it is cut.
"""

from __future__ import annotations

from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.checksums import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
)
from alluxio_tw.s3.chunked import ChunkedDecoder
from tests.fuzz.run import run

FORMS = (STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER)
WORDS = [
    b"\x00\x05\x03",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\n",
    b"\r\n",
    b"x-amz-checksum-crc32:NhCmhg==\r\n",
    b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n",
    b"0;chunk-signature=" + b"0" * 64 + b"\r\n",
    b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
]


def _decoded(form: bytes, length: int, pieces: list[bytes]) -> tuple[bytes, object]:
    decoder = ChunkedDecoder(form, length, least_chunk=0)
    data = b""
    try:
        for piece in pieces:
            for view in decoder.feed(piece):
                data += view
        decoder.finish()
    except GatewayError as error:
        assert not decoder.ended
        assert len(data) <= length
        return b"", type(error)
    assert len(data) == length
    return data, decoder.trailers


def one(data: bytes) -> None:
    """One body."""
    if len(data) < 3:
        return
    form, length, step = FORMS[data[0] % 3], data[1], data[2] % 16 + 1
    body = data[3:]
    whole = _decoded(form, length, [body])
    cut = [body[at : at + step] for at in range(0, len(body), step)]
    assert _decoded(form, length, cut) == whole


if __name__ == "__main__":
    run(one)
