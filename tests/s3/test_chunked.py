from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    GatewayError,
    IncompleteBody,
    InvalidChunkSize,
    MalformedTrailer,
    MissingContentLength,
    NotImplementedYet,
    SignatureDoesNotMatch,
)
from alluxio_tw.s3.checksums import (
    STREAMING_SIGNED,
    STREAMING_SIGNED_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
)
from alluxio_tw.s3.chunked import (
    ChunkedDecoder,
    ChunkedEncoder,
    decoded_length,
    encoded_length,
    form_of,
)
from alluxio_tw.s3.sigv4 import ChunkSigner
from tests.s3.vectors import (
    CHUNKS,
    CREDENTIAL,
    SECRET,
    STREAMED,
    TIMESTAMP,
    TRAILED,
    Example,
)

CRC = b"x-amz-checksum-crc32"
FORMS = (STREAMING_UNSIGNED_TRAILER, STREAMING_SIGNED, STREAMING_SIGNED_TRAILER)


def signer(form: bytes, seed: bytes = b"0" * 64) -> ChunkSigner | None:
    if form == STREAMING_UNSIGNED_TRAILER:
        return None
    return ChunkSigner.begin(SECRET, TIMESTAMP, CREDENTIAL, seed)


def encode(
    form: bytes,
    chunks: Iterable[bytes],
    trailers: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    encoder = ChunkedEncoder(form, signer(form))
    return b"".join([*map(encoder.chunk, chunks), encoder.end(trailers)])


def decode(
    decoder: ChunkedDecoder, pieces: Iterable[bytes]
) -> tuple[bytes, dict[bytes, bytes]]:
    data = b"".join(view for piece in pieces for view in decoder.feed(piece))
    decoder.finish()
    return data, decoder.trailers


def cut(body: bytes, at: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(i % (len(body) + 1) for i in at), len(body)]
    return [body[a:b] for a, b in pairwise(edges)]


class HeadersTests(SynchronousTestCase):
    def test_form(self) -> None:
        """The form is what x-amz-content-sha256 names; ECDSA is not built."""
        for form in FORMS:
            self.assertEqual(form_of({b"x-amz-content-sha256": form}), form)
        for value in (b"UNSIGNED-PAYLOAD", b"e" * 64):
            self.assertIsNone(form_of({b"x-amz-content-sha256": value}))
        self.assertIsNone(form_of({}))
        for tail in (b"", b"-TRAILER"):
            value = b"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD" + tail
            self.assertRaises(
                NotImplementedYet, form_of, {b"x-amz-content-sha256": value}
            )

    def test_length(self) -> None:
        """Without a decoded length that is a number there is no length."""
        name = b"x-amz-decoded-content-length"
        self.assertEqual(decoded_length({name: b"66560"}), 66560)
        for value in (b"", b"abc", b"12x", b"-1", b"+1", b"9" * 9000):
            self.assertRaises(MissingContentLength, decoded_length, {name: value})
        self.assertRaises(MissingContentLength, decoded_length, {})


class ExamplesTests(SynchronousTestCase):
    def body(self, example: Example) -> bytes:
        lines = [
            b"%x;chunk-signature=%s\r\n%s\r\n" % (len(chunk), signature, chunk)
            for chunk, signature in zip(CHUNKS, example.chunk_signatures, strict=False)
        ]
        lines.append(b"0;chunk-signature=%s\r\n" % example.chunk_signatures[-1])
        for trailer in example.trailers:
            lines.append(b"%s:%s\r\n" % trailer)
        if example.trailers:
            lines.append(b"x-amz-trailer-signature:%s\r\n" % example.trailer_signature)
        return b"".join(lines) + b"\r\n"

    def test_examples(self) -> None:
        """The worked examples of the S3 API reference are decoded and believed."""
        for example in (STREAMED, TRAILED):
            form = example.headers[b"x-amz-content-sha256"]
            prover = signer(form, example.signature)
            decoder = ChunkedDecoder(form, 66560, prover)
            data, trailers = decode(decoder, [self.body(example)])
            self.assertEqual(data, b"".join(CHUNKS))
            self.assertEqual(trailers, dict(example.trailers))

    def test_length(self) -> None:
        """The length of an encoded body is known before it is made."""
        self.assertEqual(encoded_length(STREAMING_SIGNED, 66560, 65536), 66824)
        self.assertEqual(
            encoded_length(
                STREAMING_SIGNED_TRAILER, 66560, 65536, [(b"x-amz-checksum-crc32c", 8)]
            ),
            len(self.body(TRAILED)),
        )


class DecoderTests(SynchronousTestCase):
    @given(
        st.sampled_from(FORMS),
        st.lists(st.integers(1, 40), max_size=4),
        st.lists(st.integers(0, 10_000), max_size=8),
        st.booleans(),
    )
    def test_any_cut(
        self, form: bytes, sizes: list[int], at: list[int], proving: bool
    ) -> None:
        """However the bytes are cut into pieces, the same comes out."""
        chunks = [bytes([65 + n]) * size for n, size in enumerate(sizes)]
        trailers = [] if form == STREAMING_SIGNED else [(CRC, b"AAAAAA=="), (b"b", b"")]
        body = encode(form, chunks, trailers)
        prover = signer(form) if proving else None
        decoder = ChunkedDecoder(form, sum(sizes), prover, least_chunk=0)
        data, found = decode(decoder, cut(body, at))
        self.assertEqual(data, b"".join(chunks))
        self.assertEqual(found, dict(trailers))
        self.assertTrue(decoder.ended)

    @given(
        st.sampled_from(FORMS),
        st.integers(0, 100),
        st.integers(1, 50),
        st.integers(0, 40),
    )
    def test_encoded_length(
        self, form: bytes, length: int, chunk: int, value: int
    ) -> None:
        """The encoder makes as many bytes as were foretold."""
        data = bytes(length)
        chunks = [data[at : at + chunk] for at in range(0, length, chunk)]
        trailers = [] if form == STREAMING_SIGNED else [(CRC, b"v" * value)]
        self.assertEqual(
            encoded_length(form, length, chunk, [(n, len(v)) for n, v in trailers]),
            len(encode(form, chunks, trailers)),
        )

    def test_no_copies(self) -> None:
        """Data comes out as views of what was fed."""
        body = encode(STREAMING_UNSIGNED_TRAILER, [b"x" * 9000])
        decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 9000)
        (view,) = decoder.feed(body)
        self.assertIs(view.obj, body)

    def test_least_chunk(self) -> None:
        """A chunk under 8 KiB that is not the last is refused, and named."""
        for form in FORMS:
            chunks = [b"x" * 8192, b"x" * 8191, b"x"]
            decoder = ChunkedDecoder(form, 16384, signer(form))
            error = self.assertRaises(
                InvalidChunkSize, decode, decoder, [encode(form, chunks)]
            )
            self.assertEqual(error.fields, {"Chunk": "2", "BadChunkSize": "8191"})
            last = ChunkedDecoder(form, 16383, signer(form))
            self.assertEqual(len(decode(last, [encode(form, chunks[:2])])[0]), 16383)

    def test_length(self) -> None:
        """A body that is not as long as was said is IncompleteBody, and no byte too many comes out."""
        for form in FORMS:
            for said in (4, 6, 0):
                decoder = ChunkedDecoder(form, said, signer(form))
                seen: list[memoryview] = []

                with self.assertRaises(IncompleteBody) as caught:
                    for piece in cut(encode(form, [b"hello"]), range(0, 400, 3)):
                        seen.extend(decoder.feed(piece))
                self.assertEqual(
                    caught.exception.fields,
                    {"NumberBytesExpected": str(said), "NumberBytesProvided": "5"},
                )
                self.assertLessEqual(len(b"".join(seen)), said)
                self.assertFalse(decoder.ended)

    def test_enormous_chunk(self) -> None:
        """A chunk that reaches far past the length is refused at once."""
        decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 5)
        self.assertRaises(IncompleteBody, decoder.feed, b"ffffffffffffffff\r\n")

    def test_truncated(self) -> None:
        """A body that ends anywhere before its end is IncompleteBody."""
        for form in FORMS:
            trailers = [] if form == STREAMING_SIGNED else [(CRC, b"AAAAAA==")]
            body = encode(form, [b"hello"], trailers)
            for end in range(len(body)):
                decoder = ChunkedDecoder(form, 5, signer(form))
                self.assertRaises(IncompleteBody, decode, decoder, [body[:end]])

    def test_surplus(self) -> None:
        """Bytes after the end are IncompleteBody: the framing is not what was meant."""
        body = encode(STREAMING_UNSIGNED_TRAILER, [b"hello"])
        for surplus in (b"\r\n", b"x", b"5\r\nhello\r\n"):
            decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 5)
            self.assertRaises(IncompleteBody, decode, decoder, [body + surplus])

    def test_framing(self) -> None:
        """Broken framing is IncompleteBody."""
        for body in [
            b"A\ndummy data\r\n0\r\n\r\n",
            b"A\r\ndummy data0\r\n\r\n",
            b"A\r\nXYZ\r\ndummy data\r\n0\r\n\r\n",
            b"B\r\ndummy data\r\n0\r\n\r\n",
            b"A\r\nA\r\ndummy data\r\n0\r\n\r\n",
            b"A;x=y\r\ndummy data\r\n0\r\n\r\n",
            b"-A\r\ndummy data\r\n0\r\n\r\n",
            b"0xA\r\ndummy data\r\n0\r\n\r\n",
            b"\r\nA\r\ndummy data\r\n0\r\n\r\n",
            b"size\r\ndummy data\r\n0\r\nx:y\r\n\r\n",
            b"A\r\ndummy data\r\nJ\r\nx:y\r\n\r\n",
            b"A\r\ndummy data\r\n0\r\nx:y\rz\r\n\r\n",
            b"1" * 5000 + b"\r\n",
            b"1" * 5000,
        ]:
            for pieces in ([body], cut(body, range(len(body)))):
                decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 10)
                error = self.assertRaises(IncompleteBody, decode, decoder, pieces)
                self.assertEqual(
                    error.message, "The request body terminated unexpectedly"
                )

    def test_malformed_trailer(self) -> None:
        """A trailer that is not header lines is MalformedTrailer."""
        for trailer in [
            b":AAAAAA==\r\n",
            b"no colon\r\n",
            b"a b:c\r\n",
            b"a:b\r\nA:c\r\n",
            b"a:" + b"x" * 900 + b"\r\nb:" + b"x" * 900 + b"\r\n" + b"c:d\r\n" * 2000,
        ]:
            body = b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n"
            decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 5)
            self.assertRaises(MalformedTrailer, decode, decoder, [body])

    def test_trailer_forms(self) -> None:
        """Names are in lower case and values trimmed, and MinIO's line ends are understood."""
        decoder = ChunkedDecoder(STREAMING_UNSIGNED_TRAILER, 0)
        self.assertEqual(
            decode(decoder, [b"0\r\nX-Amz-A: b c \r\n\r\n"])[1], {b"x-amz-a": b"b c"}
        )
        plain = encode(STREAMING_SIGNED_TRAILER, [b"hello"], [(CRC, b"NhCmhg==")])
        odd = plain.replace(b"NhCmhg==\r\n", b"NhCmhg==\n\r\n")
        self.assertNotEqual(odd, plain)
        form = STREAMING_SIGNED_TRAILER
        for prover in (signer(form), None):
            self.assertEqual(
                decode(ChunkedDecoder(form, 5, prover), [odd]),
                (b"hello", {CRC: b"NhCmhg=="}),
            )


class SignaturesTests(SynchronousTestCase):
    def test_each_is_proved(self) -> None:
        """A change to any byte of data or of any signature is noticed."""
        for form in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
            trailers = [] if form == STREAMING_SIGNED else [(CRC, b"AAAAAA==")]
            body = encode(form, [b"hello" * 2000, b"world"], trailers)
            places = [body.index(b"hello"), body.index(b"world")]
            at = -1
            while (at := body.find(b"signature", at + 1)) >= 0:
                places.append(at + 20)
            if trailers:
                places.append(body.index(b"AAAAAA=="))
            for place in places:
                changed = bytearray(body)
                changed[place] = ord("0") if body[place] != ord("0") else ord("1")
                decoder = ChunkedDecoder(form, 10005, signer(form))
                self.assertRaises(
                    SignatureDoesNotMatch, decode, decoder, [bytes(changed)]
                )
                self.assertFalse(decoder.ended)

    def test_order(self) -> None:
        """Chunks that changed places are noticed."""
        form = STREAMING_SIGNED
        encoder = ChunkedEncoder(form, signer(form))
        first, second = encoder.chunk(b"a" * 8192), encoder.chunk(b"b" * 8192)
        decoder = ChunkedDecoder(form, 16384, signer(form))
        self.assertRaises(
            SignatureDoesNotMatch, decode, decoder, [second, first, encoder.end()]
        )

    def test_unproved(self) -> None:
        """Without anyone to prove them, signatures must still be there."""
        for form in (STREAMING_SIGNED, STREAMING_SIGNED_TRAILER):
            body = encode(form, [b"hello"]).replace(b"chunk-signature=", b"chunk-sig=")
            self.assertRaises(IncompleteBody, decode, ChunkedDecoder(form, 5), [body])
        body = encode(STREAMING_SIGNED_TRAILER, [b"hello"], [(CRC, b"A")])
        body = body[: body.index(b"x-amz-trailer-signature")] + b"\r\n"
        decoder = ChunkedDecoder(STREAMING_SIGNED_TRAILER, 5)
        self.assertRaises(IncompleteBody, decode, decoder, [body])


class HostileTests(SynchronousTestCase):
    @given(
        st.sampled_from(FORMS),
        st.integers(0, 20),
        st.lists(
            st.one_of(
                st.binary(max_size=20),
                st.sampled_from(
                    [
                        b"5\r\nhello\r\n",
                        b"0\r\n",
                        b"\r\n",
                        b"\n",
                        b"a:b\r\n",
                        b"ffffffffffffffff\r\n",
                        b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n",
                        b"0;chunk-signature=" + b"0" * 64 + b"\r\n",
                        b"x-amz-trailer-signature:" + b"0" * 64 + b"\r\n",
                    ]
                ),
            ),
            max_size=8,
        ),
        st.booleans(),
    )
    def test_any_bytes(
        self, form: bytes, length: int, pieces: list[bytes], proving: bool
    ) -> None:
        """No bytes make it fail but with an error of S3's, nor give more than was said."""
        decoder = ChunkedDecoder(form, length, signer(form) if proving else None, 0)
        given_out = 0
        try:
            for piece in pieces:
                given_out += sum(map(len, decoder.feed(piece)))
            decoder.finish()
            self.assertEqual(given_out, length)
        except GatewayError:
            self.assertFalse(decoder.ended)
        self.assertLessEqual(given_out, length)
