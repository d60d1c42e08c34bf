"""
Noise on the wire.
"""

from __future__ import annotations

import contextlib
import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.blackbox.case import BlackboxCase
from tests.blackbox.daemon import set_up
from tests.blackbox.wire import Gone

REQUESTS = (
    b"GET /demo/a HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\n",
    b"GET /demo?list-type=2&prefix=a&delimiter=/&max-keys=2 HTTP/1.1\r\nHost: x\r\n\r\n",
    b'HEAD /demo/a HTTP/1.1\r\nHost: x\r\nIf-None-Match: "x"\r\n\r\n',
    b"PUT /demo/fuzz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"x-amz-meta-a: b\r\nContent-MD5: XUFAKrxLKna5cZ2REBfFkg==\r\n\r\nhello",
    b"PUT /demo/fuzz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n"
    b"x-amz-decoded-content-length: 5\r\nx-amz-trailer: x-amz-checksum-crc32\r\n\r\n"
    b"2f\r\n5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n\r\n0\r\n\r\n",
    b"PUT /demo/fuzz HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
    b"Content-Length: 5\r\n\r\nhello",
    b"POST /demo?delete HTTP/1.1\r\nHost: x\r\nContent-Length: 52\r\n"
    b"Content-MD5: xxxxxxxxxxxxxxxxxxxxxx==\r\n\r\n"
    b"<Delete><Object><Key>fuzz</Key></Object></Delete>   ",
    b"PUT /demo/fuzz?tagging HTTP/1.1\r\nHost: x\r\nContent-Length: 70\r\n\r\n"
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    b"PUT /demo/fuzz HTTP/1.1\r\nHost: x\r\nx-amz-copy-source: /demo/a\r\n"
    b"Content-Length: 0\r\n\r\n",
    b"POST /demo/fuzz?uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    b"GET /demo?uploads&key-marker=a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /demo/a HTTP/1.1\r\nHost: x\r\nAuthorization: AWS4-HMAC-SHA256 "
    b"Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, "
    b"Signature=00\r\n\r\n",
    b"DELETE /demo/fuzz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
)
"""What the mutated begin with."""

SPICES = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"%",
    b"%00",
    b"%2F",
    b"..",
    b"?",
    b"&",
    b"=",
    b":",
    b" ",
    b"\xff",
    b"\xc3\x28",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Range: bytes=0-0,1-1\r\n",
    b"HTTP/1.0",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>',
    b"x" * 9000,
    b"99999999999999999999999",
    b"-1",
)

SETTING = set_up(
    "alluxio.worker.s3.header.timeout=2s", "alluxio.worker.s3.request.body.timeout=2s"
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Requests, one or more, with bytes cut, doubled, changed and put in."""
    data = bytearray(
        b"".join(draw(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=3)))
    )
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        what = draw(st.sampled_from(("put", "cut", "swap", "double", "random")))
        if what == "put":
            data[at:at] = draw(st.sampled_from(SPICES))
        elif what == "cut":
            del data[at:end]
        elif what == "swap":
            data[at:end] = draw(st.sampled_from(SPICES))
        elif what == "double":
            data[at:at] = data[at:end]
        else:
            data[at:end] = draw(st.binary(max_size=12))
    return bytes(data)


class FuzzTests(BlackboxCase):
    """
    Nothing that arrives kills it, makes it fail, or makes it complain.
    """

    setting = SETTING

    def feed(self, data: bytes, pieces: int) -> None:
        """Send bytes in some pieces, and read whatever is answered."""
        wire = self.wire()
        cuts = sorted(
            random.Random(len(data)).randrange(len(data) + 1) for _ in range(pieces)
        )
        with contextlib.suppress(ConnectionError):
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                wire.send(data[start:end])
        # So that a request that is not whole is over.
        with contextlib.suppress(OSError):
            wire.socket.shutdown(1)
        said = b""
        with contextlib.suppress(ConnectionError, Gone):
            said = wire.rest()
        wire.close()
        for line in said.split(b"\r\n"):
            if line.startswith(b"HTTP/1.1 5"):
                # What is not built is the one thing that may be answered so.
                self.assertTrue(line.startswith(b"HTTP/1.1 501 "), (line, data))
        self.assertTrue(self.daemon.alive(), data)

    @settings(
        max_examples=400,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(st.binary(min_size=1, max_size=400), st.integers(0, 3))
    def test_noise(self, data: bytes, pieces: int) -> None:
        """Random bytes are answered 400, or not at all."""
        self.feed(data, pieces)

    @settings(
        max_examples=1500,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    @given(mutated(), st.integers(0, 3))
    def test_mutations(self, data: bytes, pieces: int) -> None:
        """Requests with something wrong in them are refused, never failed at."""
        self.feed(data, pieces)
