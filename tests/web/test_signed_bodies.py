from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import IncompleteBody, SignatureDoesNotMatch
from alluxio_tw.s3.checksums import STREAMING_SIGNED
from alluxio_tw.s3.chunked import ChunkedDecoder, ChunkedEncoder
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.sigv4 import ChunkSigner
from alluxio_tw.web.decoding import THREADED, DecodedBody
from tests.doubles_threads import HeldThreads

SEED = b"0" * 64
DATA = bytes(range(256)) * 512


def signer() -> ChunkSigner:
    credential = Credential("AKID", "20130524", "us-east-1")
    return ChunkSigner.begin("secret", b"20130524T000000Z", credential, SEED)


@attrs.define
class Pieces:
    """A body as it comes from the socket."""

    pieces: list[bytes]

    def read(self) -> Deferred[bytes | None]:
        return succeed(self.pieces.pop(0) if self.pieces else None)


class SignedBodyTests(SynchronousTestCase):
    def body(self, *pieces: bytes) -> DecodedBody:
        self.threads = HeldThreads()
        arriving: Any = Pieces(list(pieces))
        decoder = ChunkedDecoder(STREAMING_SIGNED, len(DATA), signer())
        return DecodedBody(len(DATA), arriving, decoder, self.threads)

    def encoded(self) -> bytes:
        encoder = ChunkedEncoder(STREAMING_SIGNED, signer())
        half = len(DATA) // 2
        return encoder.chunk(DATA[:half]) + encoder.chunk(DATA[half:]) + encoder.end()

    def test_threads(self) -> None:
        """Large pieces are hashed in a thread, small ones at once."""
        data = self.encoded()
        body = self.body(data[: THREADED - 1], data[THREADED - 1 :])
        first = self.successResultOf(body.read())
        reading = body.read()
        self.assertNoResult(reading)
        self.assertEqual(len(self.threads), 1)
        self.threads.release()
        second = self.successResultOf(reading)
        self.assertIsNone(self.successResultOf(body.read()))
        assert isinstance(first, memoryview) and isinstance(second, bytes)
        self.assertEqual(bytes(first) + second, DATA)

    def test_wrong(self) -> None:
        """A wrong chunk is found in whichever thread."""
        data = bytearray(self.encoded())
        data[1000] ^= 1
        reading = self.body(bytes(data)).read()
        self.threads.release()
        self.failureResultOf(reading, SignatureDoesNotMatch)

    def test_end(self) -> None:
        """A body without its signed end is not whole."""
        data = self.encoded()
        body = self.body(data[:-10])
        reading = body.read()
        self.threads.release()
        self.successResultOf(reading)
        self.failureResultOf(body.read(), IncompleteBody)
