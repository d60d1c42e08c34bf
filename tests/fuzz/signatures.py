"""
Throws bytes at the readers of Authorization and of presigned URLs:
C{python -m tests.fuzz.signatures}.

Nothing but an S3 error may come of it, and nothing may be believed.
"""

from __future__ import annotations

from alluxio_tw.errors import GatewayError
from alluxio_tw.s3.checksums import EMPTY_SHA256, Promises
from alluxio_tw.s3.claim import read_claim
from alluxio_tw.s3.credential import simple_access_key, simple_access_key_of_query
from tests.fuzz.run import run

WORDS = [
    b"AWS4-HMAC-SHA256 ",
    b"Credential=AKID/20130524/us-east-1/s3/aws4_request",
    b"SignedHeaders=host;x-amz-date",
    b"Signature=" + b"0" * 64,
    b", ",
    b"/",
    b"&",
    b"\n",
    b"X-Amz-Algorithm=AWS4-HMAC-SHA256&",
    b"X-Amz-Credential=AKID%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&",
    b"X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&",
    b"X-Amz-SignedHeaders=host&X-Amz-Signature=0&",
    b"x-amz-checksum-crc32",
    b"X-Amz-Content-Sha256=",
]
BASE = {
    b"host": b"h",
    b"x-amz-date": b"20130524T000000Z",
    b"x-amz-content-sha256": EMPTY_SHA256.encode(),
}


def one(data: bytes) -> None:
    """One request: lines are the Authorization, query, path and other headers."""
    lines = data.split(b"\n") + [b""] * 5
    headers = dict(BASE)
    if lines[0]:
        headers[b"authorization"] = lines[0]
    for name, value in (
        (b"x-amz-date", lines[3]),
        (b"x-amz-content-sha256", lines[4]),
        (b"x-amz-trailer", lines[4]),
        (b"content-md5", lines[3]),
    ):
        if value:
            headers[name] = value
    for read in (
        lambda: simple_access_key(lines[0]),
        lambda: simple_access_key_of_query(lines[1]),
        lambda: Promises.from_headers(headers),
    ):
        try:
            read()
        except GatewayError:
            pass
    try:
        claim = read_claim(b"GET", b"/" + lines[2], lines[1], headers)
        if claim is None:
            return
        claim.verify("a secret that signed nothing", 1369353600)
    except GatewayError:
        return
    raise AssertionError("believed")


if __name__ == "__main__":
    run(one)
