"""
The worked examples of Signature Version 4 in the S3 API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

import attrs

from alluxio_tw.s3.credential import Credential

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIAL = Credential("AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1")
TIMESTAMP = b"20130524T000000Z"
NOW = 1369353600
HOST = b"examplebucket.s3.amazonaws.com"
EMPTY = sha256().hexdigest().encode()
BASIC = {
    b"host": HOST,
    b"x-amz-content-sha256": EMPTY,
    b"x-amz-date": TIMESTAMP,
}


@attrs.frozen
class Example:
    """
    A request and its signature.

    :ivar headers: those that are signed.
    :ivar digests: of the chunks of a streamed body, and of its empty last one.
    """

    method: bytes
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    signature: bytes
    digests: tuple[bytes, ...] = ()
    chunk_signatures: tuple[bytes, ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    trailer_signature: bytes = b""

    @property
    def authorization(self) -> bytes:
        """The header that the reference prints."""
        return b"AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=%s, Signature=%s" % (
            bytes(CREDENTIAL),
            b";".join(sorted(self.headers)),
            self.signature,
        )


EXAMPLES = [
    Example(
        b"GET",
        b"/test.txt",
        b"",
        BASIC | {b"range": b"bytes=0-9"},
        b"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    Example(
        b"PUT",
        b"/test%24file.text",
        b"",
        BASIC
        | {
            b"date": b"Fri, 24 May 2013 00:00:00 GMT",
            b"x-amz-storage-class": b"REDUCED_REDUNDANCY",
            b"x-amz-content-sha256": b"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        },
        b"98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    Example(
        b"GET",
        b"/",
        b"lifecycle",
        BASIC,
        b"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    Example(
        b"GET",
        b"/",
        b"max-keys=2&prefix=J",
        BASIC,
        b"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]

PRESIGNED = (
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256"
    b"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
    b"&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
    b"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
)

# 66,560 bytes in chunks of 64 KiB.
CHUNKS = (b"a" * 65536, b"a" * 1024)
_DIGESTS = tuple(sha256(chunk).hexdigest().encode() for chunk in (*CHUNKS, b""))
_STREAM = {
    b"host": b"s3.amazonaws.com",
    b"x-amz-date": TIMESTAMP,
    b"x-amz-storage-class": b"REDUCED_REDUNDANCY",
    b"content-encoding": b"aws-chunked",
    b"x-amz-decoded-content-length": b"66560",
}

STREAMED = Example(
    b"PUT",
    b"/examplebucket/chunkObject.txt",
    b"",
    _STREAM
    | {
        b"content-length": b"66824",
        b"x-amz-content-sha256": b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    },
    b"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    _DIGESTS,
    (
        b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ),
)

TRAILED = Example(
    b"PUT",
    b"/examplebucket/chunkObject.txt",
    b"",
    _STREAM
    | {
        b"x-amz-content-sha256": b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        b"x-amz-trailer": b"x-amz-checksum-crc32c",
    },
    b"106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    _DIGESTS,
    (
        b"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        b"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        b"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ),
    ((b"x-amz-checksum-crc32c", b"sOO8/Q=="),),
    b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435",
)
