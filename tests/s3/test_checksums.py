from __future__ import annotations

import base64
import hashlib
import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    BadDigest,
    ContentSHA256Mismatch,
    GatewayError,
    InvalidArgument,
    InvalidDigest,
    InvalidRequest,
    MalformedTrailer,
)
from alluxio_tw.s3.checksums import (
    ALGORITHMS,
    Digests,
    Promises,
    composite,
    full_object,
    multipart_etag,
    valid_checksum,
)

DATA = b"123456789"
# The check values of each algorithm's definition, over "123456789".
CHECKS = {
    "crc32": "cbf43926",
    "crc32c": "e3069283",
    "crc64nvme": "ae8b14860a799888",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "sha512": "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a"
    "d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
    "md5": "25f9e794323b453885f5181f1b624d0b",
    "xxhash64": "8cb841db40e6ae83",
    "xxhash3": "72dcb18b67a17dff",
    "xxhash128": "33119477ede5dcd5e9716427681d5860",
}
MD5 = "JfnnlDI7RTiF9RgfG2JNCw=="
TRAILER_FORM = b"STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def b64(hexadecimal: str) -> bytes:
    return base64.b64encode(bytes.fromhex(hexadecimal))


def digest(headers: dict[bytes, bytes], data: bytes = DATA) -> Digests:
    digests = Digests(Promises.from_headers(headers))
    digests.update(data)
    return digests


class PromisesTests(SynchronousTestCase):
    def refused(
        self, error: type[GatewayError], headers: dict[bytes, bytes]
    ) -> GatewayError:
        found: GatewayError = self.assertRaises(error, Promises.from_headers, headers)
        return found

    def test_none(self) -> None:
        """A request may promise nothing."""
        self.assertEqual(Promises.from_headers({b"host": b"h"}), Promises())
        self.assertEqual(
            Promises.from_headers({b"x-amz-content-sha256": b"UNSIGNED-PAYLOAD"}),
            Promises(),
        )

    def test_not_promises(self) -> None:
        """Headers about checksums are not checksums."""
        self.assertEqual(
            Promises.from_headers(
                {
                    b"x-amz-checksum-mode": b"ENABLED",
                    b"x-amz-checksum-algorithm": b"CRC32",
                    b"x-amz-checksum-type": b"COMPOSITE",
                }
            ),
            Promises(),
        )

    def test_content_md5(self) -> None:
        """A Content-MD5 that is not the base64 of 16 bytes is InvalidDigest."""
        for value in [b"", b"YWJyYWNhZGFicmE=", b"not base64!", MD5.encode()[:-2]]:
            error = self.refused(InvalidDigest, {b"content-md5": value})
            self.assertEqual(error.fields, {"Content-MD5": value.decode()})

    def test_payload_hash(self) -> None:
        """An x-amz-content-sha256 of no legal form is InvalidArgument."""
        for value in [b"", b"e3b0c442", b"STREAMING", b"g" * 64]:
            error = self.refused(InvalidArgument, {b"x-amz-content-sha256": value})
            self.assertEqual(error.fields["ArgumentName"], "x-amz-content-sha256")

    def test_one_checksum(self) -> None:
        """Two checksums, however given, are one too many."""
        message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        crc32 = {b"x-amz-checksum-crc32": b64(CHECKS["crc32"])}
        for more in [
            {b"x-amz-checksum-sha1": b64(CHECKS["sha1"])},
            {
                b"x-amz-trailer": b"x-amz-checksum-crc32",
                b"x-amz-content-sha256": TRAILER_FORM,
            },
        ]:
            error = self.refused(InvalidRequest, crc32 | more)
            self.assertEqual(error.message, message)

    def test_malformed(self) -> None:
        """A checksum that cannot be one of its kind is InvalidRequest."""
        for name, check in CHECKS.items():
            header = f"x-amz-checksum-{name}"
            good = b64(check)
            for value in [
                b"",
                check.encode(),
                good.rstrip(b"="),
                good + b"=",
                b"\xff" * len(good),
                b"!" + good[1:],
            ]:
                if value == good:
                    continue
                error = self.refused(InvalidRequest, {header.encode(): value})
                self.assertEqual(
                    error.message, f"Value for {header} header is invalid."
                )
                self.assertFalse(valid_checksum(name, value.decode("latin-1")))
            self.assertTrue(valid_checksum(name, good.decode()))

    def test_unknown(self) -> None:
        """An algorithm that S3 does not know is InvalidRequest, in any header."""
        self.refused(InvalidRequest, {b"x-amz-checksum-md4": b"AAAA"})
        self.refused(InvalidRequest, {b"x-amz-trailer": b"x-amz-checksum-md4"})
        self.refused(InvalidRequest, {b"x-amz-trailer": b"x-amz-meta-colour"})
        self.refused(InvalidRequest, {b"x-amz-sdk-checksum-algorithm": b"MD4"})

    def test_sdk_algorithm(self) -> None:
        """The algorithm that the SDK names must be there, and be that one."""
        crc32 = {b"x-amz-checksum-crc32": b64(CHECKS["crc32"])}
        named = {b"x-amz-sdk-checksum-algorithm": b"CRC32"}
        self.assertEqual(Promises.from_headers(crc32 | named).algorithm, "crc32")
        error = self.refused(InvalidRequest, named)
        self.assertIn("no corresponding", error.message)
        other = {b"x-amz-sdk-checksum-algorithm": b"SHA256"}
        self.refused(InvalidRequest, crc32 | other)

    def test_trailer_without_place(self) -> None:
        """A trailer can be announced only for a body that can carry one."""
        self.refused(MalformedTrailer, {b"x-amz-trailer": b"x-amz-checksum-crc32"})

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    b"content-md5",
                    b"x-amz-content-sha256",
                    b"x-amz-trailer",
                    b"x-amz-sdk-checksum-algorithm",
                    b"x-amz-checksum-crc32",
                    b"x-amz-checksum-",
                    b"x-amz-checksum-\xff",
                ]
            ),
            st.binary(max_size=20),
        )
    )
    def test_any_headers(self, headers: dict[bytes, bytes]) -> None:
        """No headers make it fail but with an error of S3's."""
        try:
            Promises.from_headers(headers)
        except GatewayError:
            pass


class DigestsTests(SynchronousTestCase):
    def test_checks(self) -> None:
        """Each algorithm gives the check value of its definition, in pieces too."""
        for name, check in CHECKS.items():
            promised = {f"x-amz-checksum-{name}".encode(): b64(check)}
            digests = Digests(Promises.from_headers(promised))
            for piece in (DATA[:4], b"", memoryview(DATA)[4:8], bytearray(DATA[8:])):
                digests.update(piece)
            digests.verify()
            self.assertEqual(digests.checksums, {name: b64(check).decode()})
            self.assertEqual(digests.length, len(DATA))

    def test_wrong_checksum(self) -> None:
        """A checksum that differs is BadDigest, naming its algorithm."""
        for name, check in CHECKS.items():
            headers = {f"x-amz-checksum-{name}".encode(): b64(check)}
            error = self.assertRaises(BadDigest, digest(headers, b"other").verify)
            self.assertEqual(
                error.message,
                f"The {name.upper()} you specified did not match the calculated checksum.",
            )

    def test_content_md5(self) -> None:
        """A Content-MD5 is compared, and both digests are told."""
        headers = {b"content-md5": MD5.encode()}
        digest(headers).verify()
        error = self.assertRaises(BadDigest, digest(headers, b"").verify)
        self.assertEqual(
            error.fields,
            {
                "ExpectedDigest": base64.b64decode(MD5).hex(),
                "CalculatedDigest": "1B2M2Y8AsgTpgAmY7PhCfg==",
            },
        )

    def test_payload_hash(self) -> None:
        """An x-amz-content-sha256 is compared, whatever the case of its letters."""
        for value in (CHECKS["sha256"], CHECKS["sha256"].upper()):
            headers = {b"x-amz-content-sha256": value.encode()}
            digest(headers).verify()
            error = self.assertRaises(
                ContentSHA256Mismatch, digest(headers, b"").verify
            )
            self.assertEqual(
                error.fields,
                {
                    "ClientComputedContentSHA256": CHECKS["sha256"],
                    "S3ComputedContentSHA256": hashlib.sha256().hexdigest(),
                },
            )

    def test_one_sha256(self) -> None:
        """SHA-256 that is promised twice is computed once, and stored only as a checksum."""
        headers = {b"x-amz-content-sha256": CHECKS["sha256"].encode()}
        digests = digest(headers)
        self.assertEqual(digests.checksums, {})
        headers[b"x-amz-checksum-sha256"] = b64(CHECKS["sha256"])
        digests = digest(headers)
        digests.verify()
        self.assertEqual(list(digests.checksums), ["sha256"])
        self.assertEqual(len(digests.lanes), 2)

    def test_trailer(self) -> None:
        """A checksum in the trailer is compared as one in a header is."""
        headers = {
            b"x-amz-trailer": b"X-Amz-Checksum-CRC32C",
            b"x-amz-content-sha256": TRAILER_FORM,
        }
        name = b"x-amz-checksum-crc32c"
        good = b64(CHECKS["crc32c"])
        digest(headers).verify({name: good})
        self.assertRaises(BadDigest, digest(headers, b"").verify, {name: good})
        error = self.assertRaises(
            InvalidRequest, digest(headers).verify, {name: b"invalid"}
        )
        self.assertEqual(
            error.message,
            "Value for x-amz-checksum-crc32c trailing header is invalid.",
        )

    def test_trailer_that_differs(self) -> None:
        """The trailer must be the one that was announced, no less and no more."""
        headers = {
            b"x-amz-trailer": b"x-amz-checksum-crc32",
            b"x-amz-content-sha256": TRAILER_FORM,
        }
        other = {b"x-amz-checksum-crc32c": b64(CHECKS["crc32c"])}
        for trailers in ({}, None, other, other | {b"x-amz-checksum-crc32": b"AAAA"}):
            self.assertRaises(MalformedTrailer, digest(headers).verify, trailers)
        self.assertRaises(MalformedTrailer, digest({}).verify, other)

    def test_also(self) -> None:
        """What nobody promised can be computed to be stored."""
        digests = Digests(Promises(), also=("crc64nvme",))
        digests.update(DATA)
        digests.verify()
        self.assertEqual(
            digests.checksums, {"crc64nvme": b64(CHECKS["crc64nvme"]).decode()}
        )
        self.assertEqual(digests.md5_hex, hashlib.md5(DATA).hexdigest())

    def test_lanes(self) -> None:
        """The lanes, each fed by itself, give what update gives."""
        promised = {
            b"x-amz-checksum-sha1": b64(CHECKS["sha1"]),
            b"content-md5": MD5.encode(),
        }
        digests = Digests(Promises.from_headers(promised))
        for lane in digests.lanes:
            lane(DATA[:5])
            lane(DATA[5:])
        digests.verify()


class MultipartTests(SynchronousTestCase):
    def test_etag(self) -> None:
        """The ETag is the MD5 of the parts' MD5s, and their number."""
        parts = [b"a" * 10, b"b"]
        md5s = [hashlib.md5(part) for part in parts]
        whole = hashlib.md5(b"".join(md5.digest() for md5 in md5s)).hexdigest()
        self.assertEqual(multipart_etag(md5.hexdigest() for md5 in md5s), f"{whole}-2")

    def test_composite(self) -> None:
        """The composite checksum is the checksum of checksums, and their number."""
        crcs = [zlib.crc32(part).to_bytes(4, "big") for part in (b"one", b"two")]
        whole = zlib.crc32(b"".join(crcs)).to_bytes(4, "big")
        self.assertEqual(
            composite("crc32", [base64.b64encode(crc).decode() for crc in crcs]),
            base64.b64encode(whole).decode() + "-2",
        )

    @given(
        st.sampled_from(["crc32", "crc32c", "crc64nvme"]),
        st.lists(st.binary(max_size=50), max_size=5),
    )
    def test_full_object(self, algorithm: str, parts: list[bytes]) -> None:
        """The full-object checksum of parts is the checksum of them joined."""

        def checksum(data: bytes) -> str:
            digests = Digests(Promises(), md5=False, also=(algorithm,))
            digests.update(data)
            return digests.checksums[algorithm]

        self.assertEqual(
            full_object(algorithm, [(checksum(part), len(part)) for part in parts]),
            checksum(b"".join(parts)),
        )

    def test_not_combined(self) -> None:
        """SHA checksums have no full-object form."""
        for algorithm in ("sha1", "sha256"):
            self.assertIsNone(ALGORITHMS[algorithm].combine)
            self.assertRaises(InvalidRequest, full_object, algorithm, [])
