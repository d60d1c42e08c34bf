from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    AuthorizationQueryParametersError,
    GatewayError,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    InvalidSecurityToken,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)
from alluxio_tw.gateway.identity import ANONYMOUS, Identity
from alluxio_tw.gateway.keys import AccessKey, AccessKeys
from alluxio_tw.s3 import canonical
from alluxio_tw.s3.checksums import (
    EMPTY_SHA256,
    STREAMING_SIGNED,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED_PAYLOAD,
)
from alluxio_tw.s3.credential import Credential
from alluxio_tw.s3.path import parse_target
from alluxio_tw.s3.sigv4 import (
    presign,
    sign,
    signature,
    signing_key,
    string_to_sign,
    timestamp_of,
)
from alluxio_tw.state.memory import MemoryState
from alluxio_tw.web import authentication
from alluxio_tw.web.authentication import Signed, Simple
from alluxio_tw.web.request import Request

NOW = 1_800_000_000
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = b"127.0.0.1:29998"
EMPTY = EMPTY_SHA256.encode()
DAY = timestamp_of(NOW)[:8].decode()


@attrs.define
class Site:
    numbers: int = 0


@attrs.define
class Connection:
    site: Site = attrs.field(factory=Site)


def arrived(method: bytes, target: bytes, headers: dict[bytes, bytes]) -> Request:
    """A request as the edge makes it."""
    connection: Any = Connection()
    return Request(connection, method, target, dict(headers), True)


def signed(
    method: bytes = b"GET",
    target: bytes = b"/bucket/key",
    *,
    secret: str = SECRET,
    access_key: str = "AKIDALICE",
    region: str = "us-east-1",
    at: float = NOW,
    headers: Iterable[tuple[bytes, bytes]] = (),
    payload: bytes = EMPTY,
) -> Request:
    """A request with a signature in its header."""
    stamp = timestamp_of(at)
    path, _, query = target.partition(b"?")
    given = {b"host": HOST, b"x-amz-date": stamp, b"x-amz-content-sha256": payload}
    given.update(headers)
    credential = Credential(access_key, stamp[:8].decode(), region)
    given[b"authorization"] = sign(method, path, query, given, credential, secret)
    return arrived(method, target, given)


def presigned(
    path: bytes = b"/bucket/key", query: bytes = b"", region: str = "us-east-1"
) -> bytes:
    """A target that is good for GET for a minute."""
    return (
        path
        + b"?"
        + presign(
            b"GET",
            path,
            query,
            {b"host": HOST},
            Credential("AKIDALICE", DAY, region),
            SECRET,
            timestamp_of(NOW),
            60,
        )
    )


def hoisted(payload: bytes) -> bytes:
    """A target that is good for GET with this payload hash, and carries it."""
    credential = Credential("AKIDALICE", DAY, "us-east-1")
    query = (
        b"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Content-Sha256=%b&X-Amz-Credential=%b"
        b"&X-Amz-Date=%b&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
    ) % (
        payload,
        canonical.encode(bytes(credential)),
        timestamp_of(NOW),
    )
    asked = canonical.request(
        b"GET", b"/bucket/key", query, {b"host": HOST}, (b"host",), payload
    )
    text = string_to_sign(asked, timestamp_of(NOW), credential)
    key = signing_key(SECRET, DAY, "us-east-1")
    return b"/bucket/key?%b&X-Amz-Signature=%b" % (query, signature(key, text))


def altered(request: Request, **changes: Any) -> Request:
    """The same request with something else in it, its signature kept."""
    again = arrived(request.method, request.target, request.headers)
    for name, value in changes.items():
        if name == "headers":
            again.headers.update(value)
        else:
            setattr(again, name, value)
    return again


class SimpleTests(SynchronousTestCase):
    def identify(self, target: bytes, **headers: bytes) -> Identity:
        request = arrived(
            b"GET", target, {name.encode(): value for name, value in headers.items()}
        )
        return self.simple.identify(request, parse_target(target))

    def setUp(self) -> None:
        self.simple = Simple("daemon")

    def test_header(self) -> None:
        """The access key of the header is believed, whatever is signed."""
        header = b"AWS4-HMAC-SHA256 Credential=me/20200101/x/s3/aws4_request, SignedHeaders=host, Signature=00"
        found = self.identify(b"/b/k", authorization=header)
        self.assertEqual(found, Identity("me", "me"))
        self.assertIs(self.identify(b"/c", authorization=header), found)

    def test_query(self) -> None:
        """So is that of a presigned URL."""
        found = self.identify(b"/b/k?X-Amz-Credential=you%2F20200101%2Fx")
        self.assertEqual(found, Identity("you", "you"))

    def test_nobody(self) -> None:
        """Who says nothing is the daemon's user, and not anonymous."""
        for target in (b"/b/k", b"/b/k?acl"):
            found = self.identify(target)
            self.assertEqual((found.user, found.anonymous), ("daemon", False))

    def test_bounded(self) -> None:
        """Names that clients make up do not fill the memory."""
        for number in range(authentication.REMEMBERED + 10):
            self.identify(b"/b?X-Amz-Credential=u%d%%2Fx" % number)
        self.assertLessEqual(len(self.simple._identities), authentication.REMEMBERED)


class SignedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = float(NOW)
        self.state = MemoryState()
        self.keys = AccessKeys(self.state)
        self.keys.start()
        self.keys.write({"AKIDALICE": AccessKey("AKIDALICE", SECRET, "alice")})
        self.gate = self.make()

    def make(self, **options: Any) -> Signed:
        return Signed(self.keys, clock=lambda: self.now, **options)

    def ask(self, request: Request, gate: Signed | None = None) -> Identity:
        return (gate or self.gate).identify(request, parse_target(request.target))

    def refused(self, request: Request, error: type[GatewayError]) -> GatewayError:
        found: GatewayError = self.assertRaises(error, self.ask, request)
        self.assertNotIn(SECRET, f"{found!r} {found} {found.fields}")
        return found

    def test_signed(self) -> None:
        """Who signs with the secret of an access key is its user, every time."""
        for _ in range(3):
            self.assertEqual(
                self.ask(signed()), Identity("alice", "AKIDALICE", proved=True)
            )
            self.assertEqual(self.ask(signed(b"PUT", b"/b/other")).user, "alice")

    def test_wrong_secret(self) -> None:
        """Another secret does not do, before or after the right one was seen."""
        for _ in range(2):
            found = self.refused(signed(secret="guess"), SignatureDoesNotMatch)
            self.assertEqual(found.fields["AWSAccessKeyId"], "AKIDALICE")
            self.assertIn("/bucket/key", found.fields["CanonicalRequest"])
            self.ask(signed())

    def test_unknown(self) -> None:
        """An access key that nobody made is told as such."""
        found = self.refused(signed(access_key="AKIDBOB"), InvalidAccessKeyId)
        self.assertEqual(found.fields["AWSAccessKeyId"], "AKIDBOB")

    def test_replays(self) -> None:
        """
        A signature that was good for one request is good for no other: not for
        another method, path, query, host, header, payload or day.
        """
        good = signed(headers=[(b"x-amz-meta-a", b"1"), (b"range", b"bytes=0-1")])
        self.ask(good)
        self.ask(altered(good))
        for changes in (
            {"method": b"DELETE"},
            {"method": b"get"},
            {"target": b"/bucket/kez"},
            {"target": b"/bucket/key/"},
            {"target": b"/bucket//key"},
            {"target": b"/bucket/key?acl"},
            {"target": b"/bucket/key?prefix=a"},
            {"headers": {b"host": b"other"}},
            {"headers": {b"x-amz-meta-a": b"2"}},
            {"headers": {b"range": b"bytes=0-9"}},
            {"headers": {b"x-amz-content-sha256": UNSIGNED_PAYLOAD}},
            {"headers": {b"x-amz-content-sha256": STREAMING_UNSIGNED_TRAILER}},
            {"headers": {b"x-amz-date": timestamp_of(NOW + 1)}},
        ):
            with self.subTest(**changes):
                self.refused(altered(good, **changes), SignatureDoesNotMatch)
                self.ask(altered(good))

    def test_added_header(self) -> None:
        """An x-amz- header that is not signed is refused by name, every time."""
        good = signed()
        self.ask(good)
        more = altered(good, headers={b"x-amz-acl": b"public-read"})
        for _ in range(2):
            found = self.refused(more, AccessDenied)
            self.assertEqual(found.fields["HeadersNotSigned"], "x-amz-acl")
        self.ask(altered(good, headers={b"user-agent": b"x"}))

    def test_missing_header(self) -> None:
        """A signed header that was taken away is missed."""
        good = signed(headers=[(b"range", b"bytes=0-1")])
        self.ask(good)
        less = altered(good)
        del less.headers[b"range"]
        self.refused(less, SignatureDoesNotMatch)

    def test_other_day(self) -> None:
        """The day of the credential is the day of the request."""
        good = signed()
        self.ask(good)
        late = altered(good, headers={b"x-amz-date": timestamp_of(NOW + 86400)})
        self.refused(late, AuthorizationHeaderMalformed)

    def test_clock(self) -> None:
        """A request from fifteen minutes ago is refused, also if it was seen."""
        good = signed()
        self.ask(good)
        self.now += 900
        self.ask(altered(good))
        self.now += 1
        found = self.refused(altered(good), RequestTimeTooSkewed)
        self.assertEqual(found.fields["MaxAllowedSkewMilliseconds"], "900000")
        self.now = NOW - 901
        self.refused(altered(good), RequestTimeTooSkewed)

    def test_blanks(self) -> None:
        """Header values are signed as AWS trims them, every time."""
        good = signed(headers=[(b"x-amz-meta-a", b"a b")])
        for _ in range(2):
            self.ask(altered(good))
            self.ask(altered(good, headers={b"x-amz-meta-a": b"  a   b "}))

    def test_disabled(self) -> None:
        """A key that is disabled is unknown from then on."""
        key = self.successResultOf(self.keys.add("bob"))
        request = signed(access_key=key.access_key, secret=key.secret)
        for _ in range(2):
            self.assertEqual(self.ask(altered(request)).user, "bob")
        self.successResultOf(self.keys.enable(key.access_key, False))
        self.refused(altered(request), InvalidAccessKeyId)
        self.successResultOf(self.keys.enable(key.access_key))
        self.ask(altered(request))

    def test_rotated(self) -> None:
        """From its rotation on, only the new secret of a key is good."""
        key = self.successResultOf(self.keys.add("bob"))
        old = signed(access_key=key.access_key, secret=key.secret)
        self.ask(altered(old))
        fresh = self.successResultOf(self.keys.rotate(key.access_key))
        self.refused(altered(old), SignatureDoesNotMatch)
        self.ask(signed(access_key=key.access_key, secret=fresh.secret))

    def test_any_region(self) -> None:
        """Where no region is configured, signatures for any are good."""
        self.ask(signed(region="mars-1"))
        self.ask(arrived(b"GET", presigned(region="mars-1"), {b"host": HOST}))

    def test_region(self) -> None:
        """Where one is, others are refused, and the error tells which it is."""
        self.gate = self.make(region="eu-1")
        self.ask(signed(region="eu-1"))
        found = self.refused(signed(), AuthorizationHeaderMalformed)
        self.assertEqual(found.fields["Region"], "eu-1")
        request = arrived(b"GET", presigned(), {b"host": HOST})
        found = self.refused(request, AuthorizationQueryParametersError)
        self.assertEqual(found.fields["Region"], "eu-1")

    def test_location(self) -> None:
        """Which region it is may be asked in any, and nothing else after that."""
        self.gate = self.make(region="eu-1")
        self.ask(signed(target=b"/bucket?location"))
        self.refused(signed(), AuthorizationHeaderMalformed)

    def test_unsigned(self) -> None:
        """What is not signed is denied, unless another is there to judge it."""
        nobody = arrived(b"GET", b"/bucket/key", {b"host": HOST})
        self.refused(nobody, AccessDenied)
        self.assertIs(self.ask(nobody, self.make(anonymous=True)), ANONYMOUS)
        self.assertTrue(ANONYMOUS.anonymous)
        wrong = signed(secret="guess")
        self.assertRaises(
            SignatureDoesNotMatch, self.ask, wrong, self.make(anonymous=True)
        )

    def test_token(self) -> None:
        """A session token is refused: permanent keys have none."""
        for _ in range(2):
            self.refused(
                signed(headers=[(b"x-amz-security-token", b"t")]), InvalidSecurityToken
            )

    def test_two_mechanisms(self) -> None:
        """Header and URL cannot both be signed."""
        request = signed()
        self.ask(request)
        both = altered(request, target=presigned())
        found = self.refused(both, InvalidArgument)
        self.assertIn("Only one auth mechanism allowed", found.message)

    def test_version_2(self) -> None:
        """Signature Version 2 is refused by name."""
        for target, headers in (
            (b"/b/k", {b"authorization": b"AWS AKIDALICE:sig="}),
            (b"/b/k?AWSAccessKeyId=AKIDALICE&Expires=1&Signature=x", {}),
        ):
            found = self.refused(arrived(b"GET", target, headers), InvalidRequest)
            self.assertIn("Please use AWS4-HMAC-SHA256", found.message)

    def test_no_payload_hash(self) -> None:
        """The header x-amz-content-sha256 must be there, every time."""
        request = signed()
        self.ask(altered(request))
        del request.headers[b"x-amz-content-sha256"]
        found = self.refused(request, InvalidRequest)
        self.assertIn("x-amz-content-sha256", found.message)

    def test_presigned(self) -> None:
        """A presigned URL is good for what it says and while it says."""
        url = presigned()
        self.ask(arrived(b"GET", url, {b"host": HOST}))
        for method, target, host in (
            (b"PUT", url, HOST),
            (b"GET", url.replace(b"/key", b"/kez"), HOST),
            (b"GET", url + b"&versionId=1", HOST),
            (b"GET", url.replace(b"Expires=60", b"Expires=61"), HOST),
            (b"GET", url, b"localhost"),
        ):
            self.refused(
                arrived(method, target, {b"host": host}), SignatureDoesNotMatch
            )
        self.now += 61
        found = self.refused(arrived(b"GET", url, {b"host": HOST}), AccessDenied)
        self.assertEqual(found.message, "Request has expired")

    def test_hash_in_url(self) -> None:
        """A payload hash that a URL carries is what the body is held to."""
        for value in (b"ab" * 32, STREAMING_SIGNED):
            request = arrived(b"GET", hoisted(value), {b"host": HOST})
            self.ask(request)
            self.assertEqual(request.headers[b"x-amz-content-sha256"], value)
            self.assertEqual(request.signer is not None, value == STREAMING_SIGNED)
            other = {b"host": HOST, b"x-amz-content-sha256": b"cd" * 32}
            request = arrived(b"GET", hoisted(value), other)
            self.ask(request)
            self.assertEqual(request.headers[b"x-amz-content-sha256"], value)

    def test_signer(self) -> None:
        """Only a body in signed chunks gets a signer to prove them."""
        chunked = signed(b"PUT", payload=STREAMING_SIGNED)
        self.ask(chunked)
        assert chunked.signer is not None
        signature = chunked.headers[b"authorization"][-64:]
        self.assertEqual(chunked.signer.previous, signature)
        for _ in range(2):
            for payload in (EMPTY, UNSIGNED_PAYLOAD, STREAMING_UNSIGNED_TRAILER):
                request = signed(b"PUT", payload=payload)
                self.ask(request)
                self.assertIsNone(request.signer)
            again = signed(b"PUT", payload=STREAMING_SIGNED)
            self.ask(again)
            self.assertIsNotNone(again.signer)

    def test_absolute_form(self) -> None:
        """The host of a target in absolute form is the one that must be signed."""
        good = signed()
        self.ask(altered(good))
        self.ask(altered(good, target=b"http://" + HOST + b"/bucket/key"))
        self.refused(
            altered(good, target=b"http://elsewhere/bucket/key"), SignatureDoesNotMatch
        )

    def test_bounded(self) -> None:
        """What is kept of clients has a bound."""
        for number in range(authentication.REMEMBERED + 10):
            self.ask(signed(region=f"r-{number}"))
        self.assertLessEqual(len(self.gate._familiar), authentication.REMEMBERED)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((b"GET", b"PUT")),
                st.sampled_from((b"/b/k", b"/b/k%20", b"/b/~k", b"/b/k?acl", b"/b//k")),
                st.sampled_from((b"a", b"a  b", b"\xc3\xa4", b"")),
                st.sampled_from((EMPTY, UNSIGNED_PAYLOAD, b"AB" * 32, b"nonsense")),
                st.sampled_from((0, 1, 899, 901, -86400)),
                st.sampled_from((SECRET, SECRET, "guess")),
                st.sampled_from(("", "method", "target", "value", "more", "tail")),
            ),
            max_size=8,
        )
    )
    def test_long_way(self, asked: list[Any]) -> None:
        """What is familiar is judged as what is seen for the first time."""
        for method, target, value, payload, age, secret, change in asked:
            request = signed(
                method,
                target,
                secret=secret,
                at=NOW - age,
                headers=[(b"x-amz-meta-a", value)],
                payload=payload,
            )
            if change == "method":
                request.method = b"POST"
            elif change == "target":
                request.target = b"/b/other"
            elif change == "value":
                request.headers[b"x-amz-meta-a"] += b"x"
            elif change == "more":
                request.headers[b"x-amz-meta-b"] = b""
            elif change == "tail":
                request.headers[b"authorization"] += b" "
            self.assertEqual(
                self.verdict(request, self.gate), self.verdict(request, self.make())
            )

    def verdict(self, request: Request, gate: Signed) -> object:
        try:
            return self.ask(altered(request), gate)
        except GatewayError as error:
            return type(error), error.message, dict(error.fields)
