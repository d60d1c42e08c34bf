from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    GatewayError,
    InvalidArgument,
    InvalidRequest,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)
from alluxio_tw.s3 import canonical
from alluxio_tw.s3.claim import Claim, read_claim
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.sigv4 import (
    presign,
    sign,
    signature,
    signing_key,
    string_to_sign,
    timestamp_of,
)
from tests.s3.vectors import (
    BASIC,
    CREDENTIAL,
    EMPTY,
    EXAMPLES,
    HOST,
    NOW,
    PRESIGNED,
    SECRET,
    STREAMED,
    TIMESTAMP,
    TRAILED,
)


def signed(
    headers: Mapping[bytes, bytes] = BASIC,
    path: bytes = b"/bucket/key",
    query: bytes = b"",
) -> dict[bytes, bytes]:
    """The headers of a GET, signed."""
    authorization = sign(b"GET", path, query, headers, CREDENTIAL, SECRET)
    return {**headers, b"authorization": authorization}


def read(
    headers: Mapping[bytes, bytes],
    path: bytes = b"/bucket/key",
    query: bytes = b"",
    region: str | None = None,
) -> Claim:
    claim = read_claim(b"GET", path, query, headers, region)
    assert claim is not None
    return claim


class HeaderTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """The worked examples of the S3 API reference are believed."""
        for example in [*EXAMPLES, STREAMED, TRAILED]:
            claim = read_claim(
                example.method,
                example.path,
                example.query,
                {**example.headers, b"authorization": example.authorization},
            )
            assert claim is not None
            claim.verify(SECRET, NOW)
            self.assertEqual(claim.access_key, "AKIAIOSFODNN7EXAMPLE")
            self.assertEqual(claim.payload, example.headers[b"x-amz-content-sha256"])

    def test_anonymous(self) -> None:
        """A request without a word of it is anonymous."""
        self.assertIsNone(read_claim(b"GET", b"/", b"prefix=a", {b"host": HOST}))
        self.assertIsNone(read_claim(b"GET", b"/", b"", {b"authorization": b""}))

    def test_uppercase_signature(self) -> None:
        """The case of a signature's letters is nothing."""
        headers = signed()
        value = headers[b"authorization"]
        headers[b"authorization"] = value[:-64] + value[-64:].upper()
        read(headers).verify(SECRET, NOW)

    def test_date_header(self) -> None:
        """Without x-amz-date, Date is the moment of signing, in either form."""
        basic = {name: BASIC[name] for name in BASIC if name != b"x-amz-date"}
        for date in (b"Fri, 24 May 2013 00:00:00 GMT", TIMESTAMP):
            headers = basic | {b"date": date}
            stamped = headers | {b"x-amz-date": TIMESTAMP}
            # Signed as the client signs it, which does not send x-amz-date.
            signature = _signature_over(headers, stamped)
            read(headers | {b"authorization": signature}).verify(SECRET, NOW)

    def test_refused(self) -> None:
        """What is wrong with a request is said in the words of AWS."""
        no_date = "AWS authentication requires a valid Date or x-amz-date header"
        other_day = (
            "The authorization header is malformed; Invalid credential date "
            '"20130524". This date is not the same as X-Amz-Date: "20130525".'
        )
        unsigned = "There were headers present in the request which were not signed"
        cases: list[
            tuple[dict[bytes, bytes | None], bytes, type[GatewayError], str]
        ] = [
            ({b"x-amz-date": b"2013-05-24T00:00:00Z"}, b"", AccessDenied, no_date),
            ({b"x-amz-date": None}, b"", AccessDenied, no_date),
            ({b"x-amz-date": None, b"date": b"soon"}, b"", AccessDenied, no_date),
            (
                {b"x-amz-date": b"20130525T000000Z"},
                b"",
                AuthorizationHeaderMalformed,
                other_day,
            ),
            ({b"x-amz-meta-colour": b"red"}, b"", AccessDenied, unsigned),
            (
                {b"x-amz-content-sha256": None},
                b"",
                InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            ),
            ({b"x-amz-content-sha256": EMPTY[1:]}, b"", InvalidArgument, "x-amz-co"),
            ({}, b"X-Amz-Signature=a", InvalidArgument, "Only one auth mechanism"),
            ({}, b"a=b&AWSAccessKeyId=c", InvalidArgument, "Only one auth mechanism"),
        ]
        for change, query, error, message in cases:
            headers: dict[bytes, bytes] = signed()
            for name, value in change.items():
                headers.pop(name, None)
                if value is not None:
                    headers[name] = value
            found = self.assertRaises(error, read, headers, query=query)
            self.assertIn(message, found.message)

    def test_unsigned_headers_named(self) -> None:
        """The error of unsigned headers names them, the host too."""
        headers = signed({n: v for n, v in BASIC.items() if n != b"host"})
        headers |= {b"host": HOST, b"x-amz-acl": b"private"}
        error = self.assertRaises(AccessDenied, read, headers)
        self.assertEqual(error.fields, {"HeadersNotSigned": "host, x-amz-acl"})

    def test_mismatch(self) -> None:
        """A wrong signature is told with the strings that should have been signed."""
        headers = signed(path=b"/", query=b"prefix=a%20b")
        claim = read(headers, b"/", b"prefix=a+b")
        error = self.assertRaises(SignatureDoesNotMatch, claim.verify, "other", NOW)
        asked = (
            f"GET\n/\nprefix=a%20b\nhost:{HOST.decode()}\n"
            f"x-amz-content-sha256:{EMPTY.decode()}\nx-amz-date:20130524T000000Z\n\n"
            f"host;x-amz-content-sha256;x-amz-date\n{EMPTY.decode()}"
        )
        self.assertEqual(error.fields["CanonicalRequest"], asked)
        self.assertEqual(error.fields["CanonicalRequestBytes"], asked.encode().hex(" "))
        self.assertEqual(
            error.fields["SignatureProvided"], headers[b"authorization"][-64:].decode()
        )
        self.assertNotIn("other", str(error.fields))

    def test_clock(self) -> None:
        """Fifteen minutes either way are granted, not a second more."""
        for difference in (-900, 0, 900):
            read(signed()).verify(SECRET, NOW + difference)
        for difference in (-901, 901):
            error = self.assertRaises(
                RequestTimeTooSkewed, read(signed()).verify, SECRET, NOW + difference
            )
            self.assertEqual(error.fields["RequestTime"], "20130524T000000Z")
            self.assertEqual(error.fields["MaxAllowedSkewMilliseconds"], "900000")
        self.assertEqual(error.fields["ServerTime"], "2013-05-24T00:15:01Z")

    def test_signature_before_clock(self) -> None:
        """Who cannot sign is not told what time it is."""
        self.assertRaises(
            SignatureDoesNotMatch, read(signed()).verify, "other", NOW + 9999
        )

    def test_region(self) -> None:
        """Any region is as good as another, unless one is configured."""
        elsewhere = Credential(CREDENTIAL.access_key, CREDENTIAL.date, "mars-1")
        authorization = sign(b"GET", b"/bucket/key", b"", BASIC, elsewhere, SECRET)
        headers = {**BASIC, b"authorization": authorization}
        read(headers).verify(SECRET, NOW)
        read(headers, region="mars-1").verify(SECRET, NOW)
        self.assertRaises(
            AuthorizationHeaderMalformed, read, headers, region="us-east-1"
        )

    def test_wire_forms(self) -> None:
        """A key that the client left unencoded is believed signed as AWS or as the wire has it."""
        for wire in (
            b"/bucket/a=b",
            b"/bucket/a*b+c",
            b"/bucket/%7euser",
            b"/b/%2F%2f",
        ):
            headers = signed(path=wire)
            read(headers, wire).verify(SECRET, NOW)
            # sign() signs the canonical form; now the wire's.
            raw = headers | {b"authorization": _signature_over(BASIC, BASIC, wire)}
            read(raw, wire).verify(SECRET, NOW)

    def test_token(self) -> None:
        """The session token is handed on."""
        headers = signed(BASIC | {b"x-amz-security-token": b"tok"})
        self.assertEqual(read(headers).token, b"tok")

    def test_repr(self) -> None:
        """What a claim shows of itself has no headers in it."""
        headers = signed(BASIC | {b"x-amz-security-token": b"tok", b"cookie": b"c00"})
        self.assertNotIn("c00", repr(read(headers)))


def _signature_over(
    sent: Mapping[bytes, bytes],
    stamped: Mapping[bytes, bytes],
    path: bytes = b"/bucket/key",
) -> bytes:
    """An Authorization over exactly this path and these headers."""
    names = tuple(sorted(sent))
    asked = canonical.request(b"GET", path, b"", sent, names, EMPTY)
    key = signing_key(SECRET, CREDENTIAL.date, CREDENTIAL.region)
    text = string_to_sign(asked, stamped[b"x-amz-date"], CREDENTIAL)
    return b"AWS4-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s" % (
        bytes(CREDENTIAL),
        b";".join(names),
        signature(key, text),
    )


class PresignedTests(SynchronousTestCase):
    def url(
        self,
        expires: int = 60,
        query: bytes = b"",
        headers: Mapping[bytes, bytes] | None = None,
    ) -> bytes:
        return presign(
            b"GET",
            b"/bucket/key",
            query,
            {b"host": HOST} if headers is None else headers,
            CREDENTIAL,
            SECRET,
            TIMESTAMP,
            expires,
        )

    def test_example(self) -> None:
        """The worked example of the S3 API reference is believed for its day."""
        claim = read({b"host": HOST}, b"/test.txt", PRESIGNED)
        claim.verify(SECRET, NOW + 86400)
        self.assertEqual(claim.expires, 86400)
        self.assertEqual(claim.payload, b"UNSIGNED-PAYLOAD")

    def test_life(self) -> None:
        """A URL holds from fifteen minutes before its date to the end of its last second."""
        for expires, now in [(60, -900), (60, 0), (60, 60), (604800, 604800)]:
            read({b"host": HOST}, query=self.url(expires)).verify(SECRET, NOW + now)
        for expires, late in [(60, 60.001), (604800, 604800.5), (0, 0.0)]:
            error = self.assertRaises(
                AccessDenied,
                read({b"host": HOST}, query=self.url(expires)).verify,
                SECRET,
                NOW + late,
            )
            self.assertEqual(error.message, "Request has expired")
            self.assertEqual(error.fields["X-Amz-Expires"], str(expires))
            self.assertEqual(
                set(error.fields), {"X-Amz-Expires", "Expires", "ServerTime"}
            )
        early = self.assertRaises(
            AccessDenied,
            read({b"host": HOST}, query=self.url()).verify,
            SECRET,
            NOW - 901,
        )
        self.assertEqual(early.message, "Request is not yet valid")

    def test_bound(self) -> None:
        """Method, path, host, query and signed headers are bound by the signature."""
        headers = {b"host": HOST, b"x-amz-meta-a": b"1"}
        url = self.url(query=b"versionId=1", headers=headers)
        read(headers, query=url).verify(SECRET, NOW)
        for changed in [
            read_claim(b"PUT", b"/bucket/key", url, headers),
            read_claim(b"GET", b"/bucket/other", url, headers),
            read_claim(b"GET", b"/bucket/key", url + b"&acl", headers),
            read_claim(b"GET", b"/bucket/key", url.replace(b"=60&", b"=61&"), headers),
            read_claim(b"GET", b"/bucket/key", url, headers | {b"host": b"h"}),
            read_claim(b"GET", b"/bucket/key", url, headers | {b"x-amz-meta-a": b"2"}),
            read_claim(b"GET", b"/bucket/key", url, {b"host": HOST}),
            read_claim(b"GET", b"/bucket/key", url[11:], headers),
        ]:
            assert changed is not None
            self.assertRaises(SignatureDoesNotMatch, changed.verify, SECRET, NOW)

    def test_unsigned_header(self) -> None:
        """An x-amz- header that the URL does not cover is refused."""
        error = self.assertRaises(
            AccessDenied,
            read,
            {b"host": HOST, b"x-amz-meta-a": b"1"},
            query=self.url(),
        )
        self.assertEqual(error.fields, {"HeadersNotSigned": "x-amz-meta-a"})

    def test_payload(self) -> None:
        """The payload's hash counts as it was signed: in the URL, as a header, or not at all."""
        with_hash = {b"host": HOST, b"x-amz-content-sha256": EMPTY}
        for query, headers, payload in [
            (self.url(headers=with_hash), with_hash, EMPTY),
            (self.url(), with_hash, b"UNSIGNED-PAYLOAD"),
            (self.url(), {b"host": HOST}, b"UNSIGNED-PAYLOAD"),
        ]:
            claim = read(headers, query=query)
            claim.verify(SECRET, NOW)
            self.assertEqual(claim.payload, payload)

    def test_refused(self) -> None:
        """What is wrong with a URL is said in the words of AWS."""
        required = (
            "Query-string authentication version 4 requires the X-Amz-Algorithm, "
            "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, "
            "and X-Amz-Expires parameters."
        )
        url = self.url()
        cases = [
            (b"&".join(kept), required)
            for gone in range(6)
            for kept in [[i for n, i in enumerate(url.split(b"&")) if n != gone]]
        ]
        for old, new, message in [
            (b"SHA256&", b"SHA1&", "X-Amz-Algorithm only supports"),
            (b"=60", b"=604801", "X-Amz-Expires must be less than a week"),
            (b"=60", b"=-1", "X-Amz-Expires must be non-negative"),
            (b"=60", b"=1h", "X-Amz-Expires should be a number"),
            (b"=60", b"=" + b"9" * 9000, "X-Amz-Expires should be a number"),
            (b"=2013", b"=13", "X-Amz-Date must be in the ISO8601 Long Format"),
            (b"=20130524T", b"=20130525T", 'Invalid credential date "20130524".'),
            (b"=host", b"=%0A", "the SignedHeaders are mal-formed."),
            (
                b"%2Fs3%2F",
                b"%2Fec2%2F",
                "Error parsing the X-Amz-Credential parameter; "
                'incorrect service "ec2". This endpoint belongs to "s3".',
            ),
        ]:
            cases.append((url.replace(old, new), message))
        for query, message in cases:
            error = self.assertRaises(
                AuthorizationQueryParametersError, read, {b"host": HOST}, query=query
            )
            self.assertIn(message, error.message)

    def test_signature_v2(self) -> None:
        """A URL of Signature Version 2 is refused."""
        error = self.assertRaises(
            InvalidRequest,
            read,
            {b"host": HOST},
            query=b"AWSAccessKeyId=a&Expires=1&Signature=b",
        )
        self.assertIn("Please use AWS4-HMAC-SHA256.", error.message)


class HostileTests(SynchronousTestCase):
    @given(
        st.lists(
            st.sampled_from(
                [
                    b"X-Amz-Algorithm=AWS4-HMAC-SHA256",
                    b"X-Amz-Credential=" + bytes(CREDENTIAL),
                    b"X-Amz-Credential=%ff%00",
                    b"X-Amz-Signature=%ff",
                    b"X-Amz-Date=20130524T000000Z",
                    b"X-Amz-Date=00010101T000000Z",
                    b"X-Amz-SignedHeaders=host;%ff",
                    b"X-Amz-SignedHeaders=host",
                    b"X-Amz-Expires=604800",
                    b"X-Amz-Content-Sha256=%0a",
                    b"=&%",
                ]
            )
        ).map(b"&".join),
        st.dictionaries(
            st.sampled_from(
                [b"authorization", b"x-amz-date", b"date", b"x-amz-content-sha256"]
            ),
            st.one_of(
                st.binary(max_size=30),
                st.sampled_from([TIMESTAMP, EMPTY, EXAMPLES[0].authorization]),
            ),
        ),
        st.binary(max_size=20),
    )
    def test_anything(
        self, query: bytes, headers: dict[bytes, bytes], path: bytes
    ) -> None:
        """No request makes it fail but with an error of S3's, and none is believed."""
        try:
            claim = read_claim(b"GET", path, query, headers)
            if claim is not None:
                claim.verify("a secret that signed nothing", NOW)
                self.fail("believed")
        except GatewayError:
            pass

    @given(st.integers(0, 253402300799))
    def test_any_moment(self, seconds: int) -> None:
        """Requests of any year are judged."""
        stamp = timestamp_of(seconds)
        scope = Credential("AKID", stamp[:8].decode(), "us-east-1")
        headers = BASIC | {b"x-amz-date": stamp}
        headers[b"authorization"] = sign(b"GET", b"/", b"", headers, scope, SECRET)
        if abs(seconds - NOW) > 900:
            self.assertRaises(
                RequestTimeTooSkewed, read(headers, b"/").verify, SECRET, NOW
            )
