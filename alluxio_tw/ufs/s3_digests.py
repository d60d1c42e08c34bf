"""
What guards a body on its way to the storage; all of it may take a while.

With a signature goes the SHA-256 of the body, which the server must check; it is
faster than MD5 on any machine of today.  C{unsigned_payload} leaves that out: a
CRC-32C guards objects and parts then, at a tenth of the cost, and an MD5 what can
carry none.  Against damage either is good; against somebody on the way, TLS is.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import md5, sha256

from alluxio_tw.s3.checksums import ALGORITHMS, UNSIGNED_PAYLOAD

Body = Sequence[bytes | memoryview]

SUM = "crc32c"
"""Of what is not signed; the one that most servers know."""


def signed(body: Body) -> dict[bytes, bytes]:
    """The header that has a signature guard a body: its SHA-256."""
    digest = sha256()
    for piece in body:
        digest.update(piece)
    return {b"x-amz-content-sha256": digest.hexdigest().encode()}


def guarded(body: Body) -> dict[bytes, bytes]:
    """The headers that guard a body which is not signed."""
    return {
        b"x-amz-content-sha256": UNSIGNED_PAYLOAD,
        b"content-md5": content_md5(body),
    }


def summed(body: Body) -> dict[bytes, bytes]:
    """As L{guarded}, of an object put whole."""
    return {b"x-amz-content-sha256": UNSIGNED_PAYLOAD, **sum_header(checksum(body))}


def bare(body: Body) -> dict[bytes, bytes]:
    """As L{guarded}, of a body that comes with a checksum."""
    return {b"x-amz-content-sha256": UNSIGNED_PAYLOAD}


def carries_checksum(headers: Mapping[bytes, bytes]) -> bool:
    """Is there a checksum in a request's headers?"""
    return any(
        algorithm.header.encode() in headers for algorithm in ALGORITHMS.values()
    )


def checksum(body: Body, algorithm: str = SUM) -> str:
    """A checksum of some pieces, in base64."""
    lane = ALGORITHMS[algorithm].make()
    for piece in body:
        lane.update(piece)
    return b64encode(lane.digest()).decode()


def sum_header(value: str, algorithm: str = SUM) -> dict[bytes, bytes]:
    """The header of such a checksum."""
    return {ALGORITHMS[algorithm].header.encode(): value.encode()}


def md5_hex(body: Body) -> str:
    """The MD5 of some pieces, as ETags have it."""
    digest = md5(usedforsecurity=False)
    for piece in body:
        digest.update(piece)
    return digest.hexdigest()


def content_md5(body: Body) -> bytes:
    """The MD5 of some pieces, as C{Content-MD5} has it."""
    return b64encode(bytes.fromhex(md5_hex(body)))
