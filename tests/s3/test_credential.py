from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AuthorizationHeaderMalformed,
    GatewayError,
    InvalidArgument,
    InvalidRequest,
)
from alluxio_tw.s3.credential import (
    Credential,
    read_authorization,
    simple_access_key,
    simple_access_key_of_query,
)

SCOPE = b"AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
SIGNATURE = b"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
HEADER = (
    b"AWS4-HMAC-SHA256 Credential=%s, SignedHeaders=host;x-amz-date, Signature=%s"
    % (SCOPE, SIGNATURE)
)


class SimpleTests(SynchronousTestCase):
    def test_access_key(self) -> None:
        """The user is the Credential up to its first slash."""
        for header in [
            HEADER,
            HEADER.replace(b", ", b","),
            b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/",
            b"AWS4-HMAC-SHA256   Credential=AKIAIOSFODNN7EXAMPLE/x, Signature=",
            b"AWS4-ECDSA-P256-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/s3/aws4_request",
        ]:
            self.assertEqual(simple_access_key(header), "AKIAIOSFODNN7EXAMPLE")
        self.assertEqual(
            simple_access_key("AWS4-HMAC-SHA256 Credential=jörg/x".encode()), "jörg"
        )

    def test_remembered(self) -> None:
        """A header remembered for one signature is not taken for another user's."""
        other = HEADER.replace(b"AKIAIOSFODNN7EXAMPLE", b"AKIAOTHER")
        for _ in range(2):
            self.assertEqual(simple_access_key(HEADER), "AKIAIOSFODNN7EXAMPLE")
            self.assertEqual(simple_access_key(other), "AKIAOTHER")

    def test_none(self) -> None:
        """Without a header there is no user."""
        self.assertIsNone(simple_access_key(None))
        self.assertIsNone(simple_access_key_of_query(b"prefix=a&list-type=2"))

    def test_malformed(self) -> None:
        """A header without an access key is AuthorizationHeaderMalformed."""
        for header in [
            b"",
            b" ",
            b"AWS4-HMAC-SHA256",
            b"AWS4-HMAC-SHA256 ",
            b"AWS4-HMAC-SHA256 Credential=",
            b"AWS4-HMAC-SHA256 Credential=/20130524/us-east-1/s3/aws4_request",
            b"AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE",
            b"AWS4-HMAC-SHA256 SignedHeaders=host, Credential=" + SCOPE,
            b"AWS4-HMAC-SHA256 Credential=\xff/x",
            b"AWS4-HMAC-SHA256 Credential=" + b"A" * 257 + b"/x",
            b"Bearer Credential=a/b",
            b"Signature=",
        ]:
            error = self.assertRaises(
                AuthorizationHeaderMalformed, simple_access_key, header
            )
            self.assertEqual(
                error.message,
                "The authorization header that you provided is not valid.",
            )

    def test_signature_v2(self) -> None:
        """Signature Version 2 is refused, in a header and in a URL."""
        for refused in [
            lambda: simple_access_key(b"AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg="),
            lambda: simple_access_key_of_query(b"AWSAccessKeyId=a&Signature=b"),
            lambda: read_authorization(b"AWS AKID:frJIUN8DYpKDtOLCwo//yllqDzg="),
        ]:
            error = self.assertRaises(InvalidRequest, refused)
            self.assertIn("Please use AWS4-HMAC-SHA256.", error.message)

    def test_query(self) -> None:
        """The user of a presigned URL is its credential's."""
        for query in [
            b"X-Amz-Credential=AKIDEXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
            b"a=b&x-amz-credential=AKIDEXAMPLE/20130524&c=d",
        ]:
            self.assertEqual(simple_access_key_of_query(query), "AKIDEXAMPLE")
        self.assertRaises(
            AuthorizationHeaderMalformed,
            simple_access_key_of_query,
            b"X-Amz-Credential=",
        )

    @given(
        st.one_of(
            st.binary(max_size=80),
            st.lists(
                st.sampled_from(
                    [
                        b"AWS4-HMAC-SHA256",
                        b"Credential=",
                        b"Signature=",
                        b"SignedHeaders=host",
                        b"/s3/aws4_request",
                        b"/",
                        b" ",
                        b",",
                        b"A",
                        b"\xff",
                    ]
                )
            ).map(b"".join),
        )
    )
    def test_any_header(self, header: bytes) -> None:
        """No header makes it fail but with an error of S3's."""
        for read in (
            simple_access_key,
            simple_access_key_of_query,
            read_authorization,
        ):
            try:
                read(header)
            except GatewayError:
                pass


class ReadTests(SynchronousTestCase):
    def test_parts(self) -> None:
        """A header gives its credential, its signed headers and its signature."""
        for header in [HEADER, HEADER.replace(b", ", b","), HEADER + b" "]:
            signer, signature = read_authorization(header)
            self.assertEqual(
                signer.credential,
                Credential("AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1"),
            )
            self.assertEqual(bytes(signer.credential), SCOPE)
            self.assertEqual(signer.signed_headers, (b"host", b"x-amz-date"))
            self.assertEqual(signature, SIGNATURE)

    def test_any_order(self) -> None:
        """The parts may come in any order."""
        header = (
            b"AWS4-HMAC-SHA256 Signature=%s,SignedHeaders=Host;x-amz-date,Credential=%s"
            % (SIGNATURE, SCOPE)
        )
        self.assertEqual(read_authorization(header), read_authorization(HEADER))

    def test_malformed(self) -> None:
        """What is wrong with a header is said in the words of AWS."""
        three = (
            "the authorization header requires three components: "
            "Credential, SignedHeaders, and Signature."
        )
        credential = (
            "the Credential is mal-formed; expecting "
            '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
        for old, new, message in [
            (b"Credential=" + SCOPE + b", ", b"", three),
            (b"SignedHeaders=host;x-amz-date, ", b"", three),
            (b", Signature=" + SIGNATURE, b"", three),
            (SIGNATURE, b"", three),
            (b"/us-east-1/", b"/", credential),
            (b"AKIAIOSFODNN7EXAMPLE", b"", credential),
            (b"us-east-1", b"\xff", credential),
            (b"us-east-1", b"x" * 500, credential),
            (
                b"/20130524/",
                b"/2013052/",
                'incorrect date format "2013052". This date in the credential '
                'must be in the format "yyyyMMdd".',
            ),
            (
                b"/s3/",
                b"/ec2/",
                'incorrect service "ec2". This endpoint belongs to "s3".',
            ),
            (
                b"aws4_request",
                b"aws4",
                'incorrect terminal "aws4". This endpoint uses "aws4_request".',
            ),
            (b"host;", b"host;;", "the SignedHeaders are mal-formed."),
        ]:
            error = self.assertRaises(
                AuthorizationHeaderMalformed,
                read_authorization,
                HEADER.replace(old, new),
            )
            self.assertEqual(
                error.message, "The authorization header is malformed; " + message
            )

    def test_region(self) -> None:
        """A region that is configured is the only one, and the error names it."""
        read_authorization(HEADER, "us-east-1")
        error = self.assertRaises(
            AuthorizationHeaderMalformed, read_authorization, HEADER, "eu-west-1"
        )
        self.assertEqual(error.fields, {"Region": "eu-west-1"})
        self.assertEqual(
            error.message,
            "The authorization header is malformed; "
            "the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        )

    def test_other_scheme(self) -> None:
        """A scheme that S3 does not know is InvalidArgument."""
        error = self.assertRaises(InvalidArgument, read_authorization, b"Bearer token")
        self.assertEqual(error.message, "Unsupported Authorization Type")
        self.assertEqual(error.fields["ArgumentValue"], "Bearer token")
        error = self.assertRaises(InvalidArgument, read_authorization, b"token")
        self.assertIn("one and only one ' '", error.message)
