from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from alluxio_tw.s3.claim import SKEW, Claim, read_claim
from alluxio_tw.s3.familiar import SIGNATURE, Familiar, stem
from alluxio_tw.s3.sigv4 import presign, sign, timestamp_of
from tests.s3.vectors import BASIC, CREDENTIAL, EXAMPLES, HOST, NOW, SECRET, TIMESTAMP


def proved(
    method: bytes, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
) -> Claim:
    claim = read_claim(method, path, query, headers)
    assert claim is not None
    claim.verify(SECRET, NOW)
    return claim


class FamiliarTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.headers = {**BASIC, b"range": b"bytes=0-9"}
        headers = self.signed(b"GET", b"/b/k")
        claim = proved(b"GET", b"/b/k", b"", headers)
        known = Familiar.of(headers[b"authorization"], claim, SECRET)
        assert known is not None
        self.known = known

    def signed(self, method: bytes, path: bytes) -> dict[bytes, bytes]:
        value = sign(method, path, b"", self.headers, CREDENTIAL, SECRET)
        return {**self.headers, b"authorization": value}

    def proves(
        self, method: bytes, path: bytes, headers: Mapping[bytes, bytes], now: float
    ) -> bool:
        tail = headers[b"authorization"][-SIGNATURE:]
        return self.known.proves(method, path, headers, tail, now)

    def test_next(self) -> None:
        """The next request of the same client is proved."""
        for path in (b"/b/k", b"/other/thing-1_2~.txt", b"/b/a%20b"):
            self.assertTrue(self.proves(b"PUT", path, self.signed(b"PUT", path), NOW))

    def test_stem(self) -> None:
        """Requests are alike if all of the header but the signature is."""
        one, two = (
            self.signed(b"GET", path)[b"authorization"] for path in (b"/b/k", b"/b/l")
        )
        self.assertEqual(stem(one), stem(two))
        self.assertNotEqual(one, two)

    def test_clock(self) -> None:
        """Both ends of the fifteen minutes count, and nothing beyond."""
        headers = self.signed(b"GET", b"/b/k")
        for now, good in (
            (NOW + SKEW, True),
            (NOW + SKEW + 0.5, False),
            (NOW - SKEW, True),
            (NOW - SKEW - 0.5, False),
        ):
            self.assertEqual(self.proves(b"GET", b"/b/k", headers, now), good)

    def test_not_sure(self) -> None:
        """A date or a payload hash that is none, or is not there, is not proved."""
        good = self.signed(b"GET", b"/b/k")
        for changes in (
            {b"x-amz-date": b"20130524T000000"},
            {b"x-amz-date": b"20130525T000000Z"},
            {b"x-amz-date": b"20130524T250000Z"},
            {b"x-amz-content-sha256": b"nonsense"},
            {b"x-amz-content-sha256": b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        ):
            self.headers = {**BASIC, b"range": b"bytes=0-9", **changes}
            headers = self.signed(b"GET", b"/b/k")
            self.assertFalse(self.proves(b"GET", b"/b/k", headers, NOW), changes)
        for name in (b"x-amz-date", b"x-amz-content-sha256", b"range", b"host"):
            headers = dict(good)
            del headers[name]
            self.assertFalse(self.proves(b"GET", b"/b/k", headers, NOW), name)
        self.assertTrue(self.proves(b"GET", b"/b/k", good, NOW))

    def test_nothing_to_be_had(self) -> None:
        """Presigned URLs, tokens, and headers in another order are not kept."""
        query = presign(
            b"GET", b"/b/k", b"", {b"host": HOST}, CREDENTIAL, SECRET, TIMESTAMP, 60
        )
        claim = proved(b"GET", b"/b/k", query, {b"host": HOST})
        self.assertIsNone(Familiar.of(b"x" * 100, claim, SECRET))
        self.headers = {**BASIC, b"x-amz-security-token": b"t"}
        headers = self.signed(b"GET", b"/b/k")
        claim = proved(b"GET", b"/b/k", b"", headers)
        self.assertIsNone(Familiar.of(headers[b"authorization"], claim, SECRET))
        self.headers = dict(BASIC)
        headers = self.signed(b"GET", b"/b/k")
        scheme, _, rest = headers[b"authorization"].partition(b" ")
        turned = scheme + b" " + b", ".join(reversed(rest.split(b", ")))
        headers[b"authorization"] = turned
        claim = proved(b"GET", b"/b/k", b"", headers)
        self.assertIsNone(Familiar.of(turned, claim, SECRET))

    def test_examples(self) -> None:
        """The worked examples without a query are proved the quick way too."""
        quick = 0
        for example in EXAMPLES:
            headers = {**example.headers, b"authorization": example.authorization}
            claim = proved(example.method, example.path, example.query, headers)
            known = Familiar.of(example.authorization, claim, SECRET)
            assert known is not None
            if example.query:
                continue
            tail = example.authorization[-SIGNATURE:]
            self.assertTrue(
                known.proves(example.method, example.path, headers, tail, NOW)
            )
            quick += 1
        self.assertGreaterEqual(quick, 2)

    @given(
        st.sampled_from((b"GET", b"PUT")),
        st.binary(max_size=6),
        st.dictionaries(st.sampled_from((b"range", b"host")), st.binary(max_size=6)),
        st.integers(-1000, 1000),
        st.binary(min_size=64, max_size=64),
    )
    def test_never_too_much(
        self,
        method: bytes,
        path: bytes,
        changes: dict[bytes, bytes],
        age: int,
        signature: bytes,
    ) -> None:
        """Whatever arrives, nothing is proved by a signature of another request."""
        headers: dict[bytes, Any] = self.signed(b"HEAD", b"/b/signed")
        stamp = {b"x-amz-date": timestamp_of(NOW + age)}
        sent = {**headers, **changes, **stamp}
        self.assertFalse(self.proves(method, b"/" + path, sent, NOW))
        self.assertFalse(self.known.proves(method, b"/" + path, sent, signature, NOW))
