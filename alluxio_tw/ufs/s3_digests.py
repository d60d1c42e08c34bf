"""
What guards a body on its way to the storage; all of it may take a while.

With a signature goes the SHA-256 of the body, which the server must check; it is
faster than MD5 on any machine of today.  C{unsigned_payload} leaves that out: an
MD5 guards the bytes then.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import md5, sha256

from alluxio_tw.s3.checksums import UNSIGNED_PAYLOAD


def signed(body: Sequence[bytes | memoryview]) -> dict[bytes, bytes]:
    """The header that has a signature guard a body: its SHA-256."""
    digest = sha256()
    for piece in body:
        digest.update(piece)
    return {b"x-amz-content-sha256": digest.hexdigest().encode()}


def guarded(body: Sequence[bytes | memoryview]) -> dict[bytes, bytes]:
    """The headers that guard a body which is not signed."""
    return {
        b"x-amz-content-sha256": UNSIGNED_PAYLOAD,
        b"content-md5": content_md5(body),
    }


def md5_hex(body: Sequence[bytes | memoryview]) -> str:
    """The MD5 of some pieces, as ETags have it."""
    digest = md5(usedforsecurity=False)
    for piece in body:
        digest.update(piece)
    return digest.hexdigest()


def content_md5(body: Sequence[bytes | memoryview]) -> bytes:
    """The MD5 of some pieces, as C{Content-MD5} has it."""
    return b64encode(bytes.fromhex(md5_hex(body)))
