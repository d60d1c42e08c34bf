"""
The head of a request to an S3 server, signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from alluxio_tw.s3 import sigv4
from alluxio_tw.s3.credential import Credential
from alluxio_tw.ufs.s3_address import Target
from alluxio_tw.ufs.s3_credentials import Keys

_LINE_END = re.compile(rb"[\r\n\0\v\f]").search


def request_head(
    method: bytes,
    target: Target,
    headers: Mapping[bytes, bytes],
    length: int,
    keys: Keys | None,
    now: bytes,
    region: str,
) -> bytes:
    """
    A request up to its body.

    :param headers: by lower-case name.
    :param length: bytes of the body.
    :param keys: to sign with; L{None} for nobody's.
    :param now: the time, as it is signed.
    """
    said = {**headers, b"host": target.host}
    if keys is not None:
        said[b"x-amz-date"] = now
        if keys.token:
            said[b"x-amz-security-token"] = keys.token.encode()
    for name, value in said.items():
        if _LINE_END(value):
            # No value may begin another line.
            said[name] = b" ".join(value.splitlines())
    if keys is not None:
        signed = {
            name: value
            for name, value in said.items()
            if name.startswith(b"x-amz-")
            or name in (b"host", b"content-type", b"content-md5")
        }
        said[b"authorization"] = sigv4.sign(
            method,
            target.path,
            target.query,
            signed,
            Credential(keys.access_key, now[:8].decode(), region),
            keys.secret,
        )
    said[b"user-agent"] = b"alluxio-tw"
    said[b"accept-encoding"] = b"identity"
    return plain_head(method, target, said, length)


def plain_head(
    method: bytes, target: Target, headers: Mapping[bytes, bytes], length: int
) -> bytes:
    """
    A request up to its body, as it is.

    :param headers: by lower-case name; no value has the end of a line in it.
    :param length: bytes of the body.
    """
    lines = [method, b" ", target.path]
    if target.query:
        lines += [b"?", target.query]
    lines.append(b" HTTP/1.1\r\n")
    for name, value in headers.items():
        lines += [name, b": ", value, b"\r\n"]
    if length or method in (b"PUT", b"POST"):
        lines.append(b"content-length: %d\r\n" % length)
    lines.append(b"\r\n")
    return b"".join(lines)
