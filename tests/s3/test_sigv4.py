from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import SignatureDoesNotMatch
from alluxio_tw.s3.checksums import EMPTY_SHA256
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.sigv4 import (
    ChunkSigner,
    canonical_trailer,
    prepared_key,
    presign,
    seconds_of,
    sign,
    signature,
    signing_key,
    timestamp_of,
)
from tests.fuzz.sigv4_against_botocore import disagreement
from tests.s3.vectors import (
    CREDENTIAL,
    EXAMPLES,
    HOST,
    PRESIGNED,
    SECRET,
    STREAMED,
    TIMESTAMP,
    TRAILED,
)


class ExamplesTests(SynchronousTestCase):
    def test_headers(self) -> None:
        """The worked examples of the S3 API reference sign as printed there."""
        for example in [*EXAMPLES, STREAMED, TRAILED]:
            authorization = sign(
                example.method,
                example.path,
                example.query,
                example.headers,
                CREDENTIAL,
                SECRET,
            )
            self.assertEqual(authorization, example.authorization)

    def test_presigned(self) -> None:
        """The worked example of a presigned URL comes out as printed."""
        self.assertEqual(
            presign(
                b"GET",
                b"/test.txt",
                b"",
                {b"host": HOST},
                CREDENTIAL,
                SECRET,
                TIMESTAMP,
                86400,
            ),
            PRESIGNED,
        )

    def test_chunks(self) -> None:
        """The worked examples of chunked uploads sign as printed."""
        for example in (STREAMED, TRAILED):
            signer = ChunkSigner.begin(
                SECRET, TIMESTAMP, CREDENTIAL, example.authorization[-64:]
            )
            self.assertEqual(
                [signer.sign_chunk(digest) for digest in example.digests],
                list(example.chunk_signatures),
            )
            if example.trailers:
                self.assertEqual(
                    signer.sign_trailer(canonical_trailer(example.trailers)),
                    example.trailer_signature,
                )


class ChunkSignerTests(SynchronousTestCase):
    def signer(self) -> ChunkSigner:
        return ChunkSigner.begin(SECRET, TIMESTAMP, CREDENTIAL, b"0" * 64)

    def test_chain(self) -> None:
        """What is signed is proved, in the order it was signed in and no other."""
        digests = [b"1" * 64, b"2" * 64]
        signer = self.signer()
        signatures = [signer.sign_chunk(digest) for digest in digests]
        trailer = signer.sign_trailer(b"a:b\n")
        checker = self.signer()
        for digest, provided in zip(digests, signatures, strict=True):
            checker.check_chunk(digest, provided.upper())
        checker.check_trailer(b"a:b\n", trailer)
        self.assertRaises(
            SignatureDoesNotMatch, self.signer().check_chunk, digests[1], signatures[1]
        )

    def test_mismatch(self) -> None:
        """A wrong signature is told with the string that should have been signed."""
        error = self.assertRaises(
            SignatureDoesNotMatch,
            self.signer().check_chunk,
            EMPTY_SHA256.encode(),
            b"bad",
        )
        self.assertEqual(error.fields["SignatureProvided"], "bad")
        self.assertEqual(error.fields["AWSAccessKeyId"], CREDENTIAL.access_key)
        self.assertTrue(
            error.fields["StringToSign"].startswith("AWS4-HMAC-SHA256-PAYLOAD\n2013")
        )
        self.assertNotIn(SECRET, str(error.fields))

    def test_repr(self) -> None:
        """The key is not shown."""
        key = signing_key(SECRET, "20130524", "us-east-1")
        self.assertNotIn(repr(key), repr(self.signer()))


class TimeTests(SynchronousTestCase):
    def test_both_ways(self) -> None:
        """A moment is written as it is read."""
        self.assertEqual(timestamp_of(1369353600.9), b"20130524T000000Z")
        self.assertEqual(seconds_of(b"20130524T000000Z"), 1369353600)
        self.assertEqual(seconds_of(b"20240229T235959Z"), 1709251199)

    def test_no_moment(self) -> None:
        """What is no moment is none."""
        for text in [
            b"",
            b"20130524",
            b"2013-05-24T00:00:00Z",
            b"20130524T000000",
            b"20130524T000000z",
            b"20130524 000000Z",
            b"20131324T000000Z",
            b"20130532T000000Z",
            b"20130229T000000Z",
            b"20130524T240000Z",
            b"20130524T006000Z",
            b"00000101T000000Z",
            b"\xb2\xb2130524T000000Z",
            b"20130524T000000Z ",
        ]:
            self.assertIsNone(seconds_of(text), text)


class BotocoreTests(SynchronousTestCase):
    def test_random_requests(self) -> None:
        """Random requests sign as botocore signs them, and only unchanged ones are believed."""
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        for number in range(300):
            wrong = disagreement(rng)
            self.assertIsNone(wrong, f"request {number} of seed {seed}")


class KeyTests(SynchronousTestCase):
    def test_derived(self) -> None:
        """The key is that of the worked example in the IAM user guide."""
        self.assertEqual(
            signing_key(
                "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                "20120215",
                "us-east-1",
                "iam",
            ).hex(),
            "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d",
        )

    @given(st.binary(max_size=100), st.text(max_size=80), st.binary(max_size=300))
    def test_prepared(self, salt: bytes, secret: str, text: bytes) -> None:
        """A prepared key signs as HMAC does, however often."""
        key = signing_key(secret, "20130524", salt.hex())
        prepared = prepared_key(secret, "20130524", salt.hex())
        for each in (text, b"", text):
            self.assertEqual(prepared.sign(each), signature(key, each))

    def test_secret(self) -> None:
        """No key shows itself."""
        self.assertEqual(repr(prepared_key(SECRET, "20130524", "r")), "<SigningKey>")

    def test_scope(self) -> None:
        """A credential is written as it is signed."""
        self.assertEqual(
            bytes(Credential("AKID", "20130524", "us-east-1")),
            b"AKID/20130524/us-east-1/s3/aws4_request",
        )
